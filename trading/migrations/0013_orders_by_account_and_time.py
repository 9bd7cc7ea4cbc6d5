from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0012_reconciliation_horizon"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["account", "created_at"], name="order_account_created"),
        ),
    ]
