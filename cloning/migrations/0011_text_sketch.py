from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cloning", "0010_memberships"),
    ]

    operations = [
        migrations.AddField(
            model_name="speechrequest",
            name="text_sketch",
            field=models.BinaryField(default=b"", editable=False),
        ),
    ]
