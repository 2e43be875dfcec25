from django.db import migrations, models


class Migration(migrations.Migration):
    """The pause after failures by address; challenges that wait for a moderator."""

    dependencies = [("consent", "0002_immutable")]
    operations = [
        migrations.RemoveConstraint(
            model_name="challenge",
            name="challenge_state_known",
        ),
        migrations.RemoveConstraint(
            model_name="challenge",
            name="challenge_decided_has_time",
        ),
        migrations.RemoveConstraint(
            model_name="examination",
            name="examination_state_known",
        ),
        migrations.RemoveConstraint(
            model_name="examination",
            name="examination_decided_whole",
        ),
        migrations.AddField(
            model_name="challenge",
            name="address_hash",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="challenge",
            name="address_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="examination",
            name="case_ref",
            field=models.UUIDField(null=True),
        ),
        migrations.AddIndex(
            model_name="challenge",
            index=models.Index(
                condition=models.Q(("address_hash", ""), _negated=True),
                fields=["address_hash", "-answered_at"],
                name="challenge_from_address",
            ),
        ),
        migrations.AddConstraint(
            model_name="challenge",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["open", "answered", "held", "passed", "refused", "inconclusive", "expired"])
                ),
                name="challenge_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="challenge",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["open", "answered", "held", "expired"]),
                    ("decided_at__isnull", False),
                    _connector="OR",
                ),
                name="challenge_decided_has_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="challenge",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["open", "answered", "refused", "inconclusive", "expired"]),
                    ("template__isnull", False),
                    _connector="OR",
                ),
                name="challenge_passed_has_template",
            ),
        ),
        migrations.AddConstraint(
            model_name="challenge",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("address_hash", ""), ("address_until__isnull", True)),
                    models.Q(models.Q(("address_hash", ""), _negated=True), ("address_until__isnull", False)),
                    _connector="OR",
                ),
                name="challenge_address_has_deadline",
            ),
        ),
        migrations.AddConstraint(
            model_name="examination",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["queued", "running", "held", "done", "failed"])),
                name="examination_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="examination",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", False),
                        ("leaf_index__isnull", False),
                        ("state__in", ["done", "failed"]),
                        ("verdict__in", ["pass", "refuse", "inconclusive"]),
                    ),
                    models.Q(("state__in", ["queued", "running", "held"]), ("verdict", "")),
                    _connector="OR",
                ),
                name="examination_decided_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="examination",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "held"), _negated=True), ("case_ref__isnull", False), _connector="OR"
                ),
                name="examination_held_has_case",
            ),
        ),
    ]
