from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0013_orders_by_account_and_time"),
    ]

    operations = [
        migrations.AddField(
            model_name="fill",
            name="seq",
            field=models.BigIntegerField(default=0),
        ),
    ]
