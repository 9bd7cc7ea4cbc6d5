"""TimescaleDB's policies step behind the archiving job: a chunk may be dropped only long after its rows were archived.

The days are those of the default settings with a unit and thirty days of grace; the job keeps them in step afterwards.
"""

from django.db import migrations

DROP_AFTER = {
    "marketdata_kline": "461 days",
    "marketdata_bookfeature": "461 days",
    "marketdata_publictrade": "121 days",
    "marketdata_orderbooklog": "61 days",
}


def has_timescale(schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
        return cursor.fetchone() is not None


def forwards(apps, schema_editor):
    if not has_timescale(schema_editor):
        return
    for table, after in DROP_AFTER.items():
        schema_editor.execute(f"SELECT remove_retention_policy('{table}', if_exists => true)")
        schema_editor.execute(f"SELECT add_retention_policy('{table}', interval '{after}')")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("marketdata", "0004_order_book_log_depth")]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
