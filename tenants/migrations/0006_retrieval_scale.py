from django.db import migrations


class Migration(migrations.Migration):
    """The terms of a chunk as an array, for the index by which a large company's chunks are found by words."""

    dependencies = [
        ('tenants', '0005_formats'),
    ]

    operations = [
        migrations.RunSQL(
            # '{8:0.5,10:0.25}/1000000000' → {7,9}: pgvector writes them from 1, the platform counts from 0
            """
            CREATE FUNCTION public.lexical_terms(public.sparsevec) RETURNS integer[]
            LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000
            RETURN (
                SELECT array_agg(split_part(entry, ':', 1)::integer - 1)
                FROM unnest(string_to_array(trim(BOTH '{}' FROM split_part($1::text, '/', 1)), ',')) AS entry
                WHERE entry <> ''
            )
            """,
            'DROP FUNCTION public.lexical_terms(public.sparsevec)',
        ),
    ]
