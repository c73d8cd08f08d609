"""zanith_ask: the questions that the ledger answers."""

from __future__ import annotations

import io
from argparse import ArgumentParser
from typing import Any

from zanith_django.audit.questions import QUESTIONS, ask, question
from zanith_django.exceptions import InvalidArgument
from zanith_django.management.base import ZanithCommand
from zanith_django.render.answers import answer_csv, answer_data, answer_text, questions_text


class Command(ZanithCommand):
    help = "Answers a question from the ledger, such as what broke this week; --list names them."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("question", nargs="?", help="The name of a question; see --list.")
        parser.add_argument("--list", action="store_true", help="List the questions.")
        parser.add_argument(
            "--sql", action="store_true", help="Print the query instead of the answer."
        )
        parser.add_argument("--format", choices=("table", "csv", "json"), default="table")

    def run(self, **options: Any) -> None:
        if options["list"]:
            self.say(questions_text(QUESTIONS))
            return
        if not options["question"]:
            raise InvalidArgument("Name a question.", "Run zanith_ask --list to see all of them.")
        asked = question(options["question"])
        if options["sql"]:
            self.stdout.write(asked.text)
            return
        answer = ask(self.connect(options["database"]), asked)
        if options["format"] == "json":
            self.print_json(answer_data(answer))
        elif options["format"] == "csv":
            text = io.StringIO()
            answer_csv(answer, text)
            self.stdout.write(text.getvalue(), ending="")
        else:
            self.say(answer_text(answer))
