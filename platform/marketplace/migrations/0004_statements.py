import uuid

import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

import foundation.clock


class Migration(migrations.Migration):
    dependencies = [
        ("cloning", "0004_metered_use"),
        ("consent", "0005_immutable_records"),
        ("marketplace", "0003_ledger_rules"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="RateTable",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("date", models.DateField(unique=True)),
                ("table", models.JSONField()),
                ("sha256", models.CharField(max_length=64)),
                ("leaf_index", models.BigIntegerField()),
                ("published_at", models.DateTimeField(default=foundation.clock.now)),
            ],
        ),
        migrations.CreateModel(
            name="Statement",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("uses", models.BigIntegerField()),
                ("final", models.BooleanField()),
                ("summary", models.JSONField()),
                ("adjustments", models.JSONField(default=list)),
                ("leaf_index", models.BigIntegerField()),
                ("made_at", models.DateTimeField(default=foundation.clock.now)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="account",
            name="account_kind_known",
        ),
        migrations.RemoveConstraint(
            model_name="account",
            name="account_not_overdrawn",
        ),
        migrations.RemoveConstraint(
            model_name="entry",
            name="entry_kind_known",
        ),
        migrations.RemoveConstraint(
            model_name="entry",
            name="entry_belongs_to_an_order",
        ),
        migrations.RemoveConstraint(
            model_name="order",
            name="order_amount_follows",
        ),
        migrations.AddField(
            model_name="entry",
            name="leaf_index",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="order",
            name="fee_bp",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="order",
            name="free",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="order",
            name="quantity",
            field=models.BigIntegerField(default=0),
            preserve_default=False,
        ),
        # Orders were for characters until now.
        migrations.RunSQL("UPDATE marketplace_order SET quantity = characters", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="order",
            name="unit",
            field=models.CharField(
                choices=[
                    ("character", "character"),
                    ("second", "second"),
                    ("output", "output"),
                    ("month", "month"),
                    ("share", "share"),
                ],
                default="character",
                max_length=9,
            ),
        ),
        migrations.AlterField(
            model_name="account",
            name="kind",
            field=models.CharField(
                choices=[
                    ("clearing", "Money at the payment provider"),
                    ("authorised", "Money a provider holds for an order"),
                    ("reserved", "Owed to a customer until their order is captured or voided"),
                    ("prepaid", "Paid for characters that are not used yet"),
                    ("holdback", "Earned by an owner, held while a dispute is possible"),
                    ("payable", "Earned by an owner, to be paid out"),
                    ("fees", "Kept by the platform"),
                    ("exchange", "Bought and sold to convert what is payable"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="entry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("reserve", "Reserve"),
                    ("void", "Void"),
                    ("capture", "Capture"),
                    ("earn", "Earn"),
                    ("release", "Release"),
                    ("reverse", "Reverse"),
                    ("refund", "Refund"),
                    ("payout", "Payout"),
                    ("exchange", "Exchange"),
                ],
                max_length=8,
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        ["clearing", "authorised", "reserved", "prepaid", "holdback", "payable", "fees", "exchange"],
                    )
                ),
                name="account_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("balance_minor__lte", 0), ("kind__in", ["fees", "holdback", "payable", "prepaid", "reserved"])
                    ),
                    ("kind__in", ["exchange"]),
                    models.Q(
                        models.Q(
                            ("kind__in", ["exchange", "fees", "holdback", "payable", "prepaid", "reserved"]),
                            _negated=True,
                        ),
                        ("balance_minor__gte", 0),
                    ),
                    _connector="OR",
                ),
                name="account_not_overdrawn",
            ),
        ),
        migrations.AddConstraint(
            model_name="entry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        ["reserve", "void", "capture", "earn", "release", "reverse", "refund", "payout", "exchange"],
                    )
                ),
                name="entry_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="entry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind__in", ("payout", "exchange")), ("order__isnull", True)),
                    models.Q(models.Q(("kind__in", ("payout", "exchange")), _negated=True), ("order__isnull", False)),
                    _connector="OR",
                ),
                name="entry_belongs_to_an_order",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("amount_minor", 0), ("unit", "share")),
                    models.Q(
                        (
                            "amount_minor",
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("quantity"), "*", models.F("price_minor")
                                ),
                                "/",
                                models.Value(1000),
                            ),
                        ),
                        ("unit", "character"),
                    ),
                    models.Q(
                        (
                            "amount_minor",
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("quantity"), "*", models.F("price_minor")
                                ),
                                "/",
                                models.Value(1000),
                            ),
                        ),
                        ("unit", "second"),
                    ),
                    models.Q(
                        (
                            "amount_minor",
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("quantity"), "*", models.F("price_minor")
                                ),
                                "/",
                                models.Value(1),
                            ),
                        ),
                        ("unit", "output"),
                    ),
                    models.Q(
                        (
                            "amount_minor",
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("quantity"), "*", models.F("price_minor")
                                ),
                                "/",
                                models.Value(1),
                            ),
                        ),
                        ("unit", "month"),
                    ),
                    _connector="OR",
                ),
                name="order_amount_follows",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(("free__range", (0, 1000000000)), ("quantity__range", (0, 1000000000))),
                name="order_quantity_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(condition=models.Q(("fee_bp__lte", 5000)), name="order_fee_range"),
        ),
        migrations.AddField(
            model_name="statement",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="statements", to="cloning.usageaccount"
            ),
        ),
        migrations.AddField(
            model_name="statement",
            name="rates",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="marketplace.ratetable"
            ),
        ),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.UniqueConstraint(
                condition=models.Q(("final", True)), fields=("account",), name="statement_one_final_a_month"
            ),
        ),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.CheckConstraint(condition=models.Q(("uses__gte", 0)), name="statement_counts"),
        ),
    ]
