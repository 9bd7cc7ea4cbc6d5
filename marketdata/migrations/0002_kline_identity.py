"""Bars are identified by symbol, interval and start; an index on id would only slow the loading of millions.

TimescaleDB's backend drops the constraint when it makes the hypertable, hence IF EXISTS.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE marketdata_kline DROP CONSTRAINT IF EXISTS marketdata_kline_pkey",
            migrations.RunSQL.noop,
        )
    ]
