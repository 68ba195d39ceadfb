DELETE FROM {{schema}}.commerce_facts WHERE occurred_at < $1::timestamptz
