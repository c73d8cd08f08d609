"""Functions of PostgreSQL and of its extensions whose calls change no table."""

from __future__ import annotations

# They read or compute, or work on settings, sequences and advisory locks.
_NAMES = (
    "abs acos acosd acosh age akeys any_value array_agg array_append array_cat array_dims "
    "array_fill array_length array_lower array_ndims array_position array_positions array_remove "
    "array_replace array_reverse array_sort array_to_json array_to_string array_to_tsvector "
    "array_upper ascii asin asind asinh atan atan2 atand atanh avals avg bit_and bit_count "
    "bit_length bit_or bit_xor bool_and bool_or broadcast btrim cardinality cbrt ceil ceiling "
    "char_length character_length chr clock_timestamp coalesce col_description concat concat_ws "
    "convert_from convert_to corr cos cosd cosh cot count covar_pop covar_samp crc32 crc32c crypt "
    "cume_dist current_database current_schema current_schemas current_setting current_user "
    "currval date_add date_bin date_part date_subtract date_trunc datemultirange daterange decode "
    "degrees dense_rank digest div dmetaphone earth_distance encode enum_first enum_last "
    "enum_range erf erfc every exists exp extract factorial family first_value floor format "
    "format_type gcd gen_random_bytes gen_random_uuid gen_salt generate_series "
    "generate_subscripts get_bit get_byte get_current_ts_config greatest has_schema_privilege "
    "has_table_privilege hmac host hostmask hstore_to_json hstore_to_jsonb inet_client_addr "
    "inet_server_addr initcap int4multirange int4range int8multirange int8range is_normalized "
    "isempty isfinite json_agg json_array_elements json_array_elements_text json_array_length "
    "json_build_array json_build_object json_each json_each_text json_extract_path "
    "json_extract_path_text json_object json_object_agg json_object_keys json_populate_record "
    "json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_to_tsvector "
    "json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length "
    "jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path "
    "jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_keys "
    "jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_query "
    "jsonb_path_query_array jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset "
    "jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset "
    "jsonb_to_tsvector jsonb_typeof justify_days justify_hours justify_interval lag last_value "
    "lastval lcm lead least left length levenshtein ll_to_earth ln log log10 lower lower_inc "
    "lower_inf lpad ltrim make_date make_interval make_time make_timestamp make_timestamptz "
    "masklen max md5 metaphone min min_scale mod mode multirange netmask network nextval nlevel "
    "normalize now nth_value ntile nullif num_nonnulls num_nulls nummultirange numnode numrange "
    "obj_description octet_length overlaps overlay parse_ident percent_rank percentile_cont "
    "percentile_disc pg_advisory_unlock pg_backend_pid pg_catalog pg_client_encoding "
    "pg_collation_for pg_column_size pg_current_snapshot pg_current_xact_id pg_database_size "
    "pg_describe_object pg_function_is_visible pg_get_constraintdef pg_get_expr pg_get_indexdef "
    "pg_get_serial_sequence pg_get_viewdef pg_has_role pg_identify_object pg_indexes_size "
    "pg_input_is_valid pg_is_in_recovery pg_partition_ancestors pg_partition_root "
    "pg_partition_tree pg_relation_filenode pg_relation_size pg_size_bytes pg_size_pretty "
    "pg_table_is_visible pg_table_size pg_total_relation_size pg_trigger_depth "
    "pg_try_advisory_lock pg_try_advisory_xact_lock pg_type_is_visible pg_typeof phraseto_tsquery "
    "pi plainto_tsquery point polygon position pow power querytree quote_ident quote_literal "
    "quote_nullable radians random range_agg range_merge rank regexp_count regexp_instr "
    "regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array "
    "regexp_split_to_table regexp_substr repeat replace reverse right round row_number "
    "row_security_active row_to_json rpad rtrim session_user set_bit set_byte set_config "
    "set_masklen setseed setval setweight sha224 sha256 sha384 sha512 shobj_description show_trgm "
    "sign similarity sin sinh skeys soundex split_part sqrt starts_with statement_timestamp "
    "stddev stddev_pop stddev_samp strict_word_similarity string_agg string_to_array "
    "string_to_table strip strpos subltree subpath substr substring sum svals tan tanh text "
    "timeofday timestamp timestamptz timezone to_ascii to_bin to_char to_date to_hex to_json "
    "to_jsonb to_number to_oct to_regclass to_regcollation to_regnamespace to_regproc "
    "to_regprocedure to_regrole to_regtype to_timestamp to_tsquery to_tsvector "
    "transaction_timestamp translate trim trim_array trim_scale trunc ts_delete ts_filter "
    "ts_headline ts_lexize ts_rank ts_rank_cd tsmultirange tsquery_phrase tsrange tstzmultirange "
    "tstzrange tsvector_to_array txid_current unaccent unistr unnest upper upper_inc upper_inf "
    "uuid_extract_timestamp uuid_generate_v1 uuid_generate_v1mc uuid_generate_v3 uuid_generate_v4 "
    "uuid_generate_v5 uuid_nil uuidv4 uuidv7 var_pop var_samp variance version "
    "websearch_to_tsquery width_bucket word_similarity xml_is_well_formed xmlagg xmlcomment "
    "xmlexists xpath xpath_exists "
)
_HARMLESS = frozenset(_NAMES.split())
_PREFIXES = ("has_", "pg_get_", "pg_stat_get_", "regr_", "st_")
"""Of functions that all read or compute; the last one is of PostGIS."""

WAITS = frozenset(
    ("pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_advisory_lock", "pg_advisory_xact_lock")
)
"""They wait, and the locks of their transaction are held meanwhile."""


def is_harmless(name: str) -> bool:
    """A name without its schema, unless that is not pg_catalog."""
    return name in _HARMLESS or name in WAITS or name.startswith(_PREFIXES)
