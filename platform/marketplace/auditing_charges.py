"""The licensing audit's question about charges: one query, read by `auditing`.

A month is looked for two hours after it is over: charges are made once an hour.
"""

from typing import Final

CHARGES: Final = """
SELECT 'charge', o.id, c.licence_id, c.at, c.leaf_index, 'charge ' || c.number
FROM marketplace_charge c
JOIN marketplace_order o ON o.id = c.order_id
LEFT JOIN marketplace_order p ON p.id = o.follows_id AND o.kind = 'bill'
LEFT JOIN audit_leaf leaf ON leaf.index = c.leaf_index AND leaf.kind = 'charge.made'
CROSS JOIN LATERAL (SELECT convert_from(leaf.body, 'UTF8')::jsonb AS entry) e
CROSS JOIN LATERAL (SELECT
    CASE o.unit WHEN 'month' THEN o.price_minor * least(greatest(c.before - o.free, 0), o.quantity)
        ELSE 0 END AS earned,
    CASE o.unit WHEN 'month' THEN o.price_minor * least(greatest(c.before + c.count - o.free, 0), o.quantity)
        ELSE o.quantity * o.price_minor / 10000 END AS whole) w
WHERE c.at >= %(since)s AND c.at < %(until)s AND (
    leaf.index IS NULL
    OR entry ->> 'subject' IS DISTINCT FROM 'order:' || o.id
    OR entry #>> '{data,licence}' IS DISTINCT FROM c.licence_id::text
    OR (entry #>> '{data,charge,number}')::bigint IS DISTINCT FROM c.number
    OR entry #>> '{data,charge,head}' IS DISTINCT FROM encode(c.head, 'hex')
    OR c.licence_id IS DISTINCT FROM coalesce(p.licence_id, o.licence_id)
    OR c.gross <> w.whole - w.earned
    OR c.fee <> w.whole * o.fee_bp / 10000 - w.earned * o.fee_bp / 10000
    OR (o.unit = 'share' AND (c.count <> o.quantity OR c.about <> o.period)))
UNION ALL
SELECT 'uncharged', o.id, o.licence_id, o.starts_at, l.leaf_index,
    d.months || ' months over, ' || d.charged || ' charged'
FROM marketplace_order o
JOIN consent_licence l ON l.id = o.licence_id
CROSS JOIN LATERAL (SELECT
    floor(extract(epoch FROM least(o.ends_at, %(until)s, %(now)s - interval '2 hours',
        CASE WHEN l.ended_reason <> 'given_up' THEN l.ended_at END) - o.starts_at) / 2592000)::bigint AS months,
    (SELECT coalesce(sum(c.count), 0)::bigint FROM marketplace_charge c WHERE c.order_id = o.id) AS charged) d
WHERE o.kind = 'licence' AND o.unit = 'month' AND o.state IN ('fulfilled', 'refunded') AND o.disputed_at IS NULL
AND d.charged < d.months
UNION ALL
SELECT 'uncharged', o.id, p.licence_id, o.fulfilled_at, NULL::bigint, 'revenue of ' || o.period
FROM marketplace_order o JOIN marketplace_order p ON p.id = o.follows_id
WHERE o.kind = 'bill' AND o.state = 'fulfilled' AND o.fulfilled_at < %(until)s
AND NOT EXISTS (SELECT 1 FROM marketplace_charge c WHERE c.order_id = o.id)
UNION ALL
SELECT DISTINCT 'undeclared', o.id, o.licence_id, m.begun, NULL::bigint, 'revenue of ' || m.period
FROM marketplace_order o
JOIN cloning_usage u ON u.licence_id = o.licence_id AND u.created_at < %(until)s
CROSS JOIN LATERAL (SELECT date_trunc('month', u.created_at, 'UTC') AS begun,
    to_char(u.created_at AT TIME ZONE 'UTC', 'YYYY-MM') AS period) m
WHERE o.kind = 'licence' AND o.unit = 'share'
AND m.begun + interval '1 month 15 days' < least(%(until)s, %(now)s)
AND NOT EXISTS (SELECT 1 FROM marketplace_order b WHERE b.follows_id = o.id AND b.period = m.period
    AND b.state <> 'cancelled')
"""
