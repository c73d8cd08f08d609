/* Refreshes what is marked so, and copies SQL. Every page works without it. */
"use strict";

(() => {
    const EVERY = 5000;

    async function refresh(part) {
        const answer = await fetch(part.dataset.zanithRefresh, { credentials: "same-origin" });
        if (!answer.ok || answer.redirected) {
            return null;
        }
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        return page.getElementById(part.id);
    }

    function keepFresh(part) {
        setTimeout(async () => {
            const fresh = document.hidden ? part : await refresh(part).catch(() => null);
            if (fresh === null) {
                return;
            }
            if (fresh !== part) {
                part.replaceWith(fresh);
            }
            keepFresh(fresh);
        }, EVERY);
    }

    function offerToCopy(button) {
        button.hidden = !navigator.clipboard;
        button.addEventListener("click", () => {
            navigator.clipboard.writeText(document.getElementById(button.dataset.zanithCopy).textContent);
        });
    }

    document.addEventListener("DOMContentLoaded", () => {
        document.querySelectorAll("[data-zanith-refresh]").forEach(keepFresh);
        document.querySelectorAll("[data-zanith-copy]").forEach(offerToCopy);
    });
})();
