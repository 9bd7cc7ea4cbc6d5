from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("trading", "0011_research_parts_kept")]

    operations = [
        migrations.AddField(
            model_name="reconciliationrun",
            name="executions_until_ms",
            field=models.BigIntegerField(default=0),
        ),
    ]
