"""Everybody gets the salt that ties their tags in the log to them."""

from typing import Any

from django.db import migrations, models

import foundation.audit.commitments


def give_salts(apps: Any, schema_editor: Any) -> None:
    people = apps.get_model("identity", "Person")
    for person in people.objects.filter(log_salt=None).only("id"):
        people.objects.filter(id=person.id).update(log_salt=foundation.audit.commitments.new_salt())


class Migration(migrations.Migration):
    dependencies = [("identity", "0002_senior_and_second_factor")]

    operations = [
        migrations.AddField("person", "log_salt", models.BinaryField(max_length=32, null=True)),
        migrations.RunPython(give_salts, migrations.RunPython.noop, elidable=True),
        migrations.AlterField(
            "person",
            "log_salt",
            models.BinaryField(default=foundation.audit.commitments.new_salt, max_length=32, null=True),
        ),
    ]
