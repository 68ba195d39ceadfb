-- Tells only of rows that were new or learnt something: an import that comes twice changes nothing.
INSERT INTO {{schema}}."UserEvents" AS known (
    "sessionId", "pageLoaded", "widgetOpened", "requestedHuman", "pressedAccept", "pressedCallback",
    "pressedContinue", "createdAt", "updatedAt"
)
SELECT *
FROM unnest(
    $1::text[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
    $7::timestamptz[], $8::timestamptz[], $9::timestamptz[]
)
ON CONFLICT ("sessionId") DO UPDATE SET
    "pageLoaded" = least(known."pageLoaded", excluded."pageLoaded"),
    "widgetOpened" = least(known."widgetOpened", excluded."widgetOpened"),
    "requestedHuman" = least(known."requestedHuman", excluded."requestedHuman"),
    "pressedAccept" = least(known."pressedAccept", excluded."pressedAccept"),
    "pressedCallback" = least(known."pressedCallback", excluded."pressedCallback"),
    "pressedContinue" = least(known."pressedContinue", excluded."pressedContinue"),
    "createdAt" = least(known."createdAt", excluded."createdAt"),
    "updatedAt" = greatest(known."updatedAt", excluded."updatedAt")
WHERE (
    known."pageLoaded", known."widgetOpened", known."requestedHuman", known."pressedAccept",
    known."pressedCallback", known."pressedContinue", known."createdAt", known."updatedAt"
) IS DISTINCT FROM (
    least(known."pageLoaded", excluded."pageLoaded"),
    least(known."widgetOpened", excluded."widgetOpened"),
    least(known."requestedHuman", excluded."requestedHuman"),
    least(known."pressedAccept", excluded."pressedAccept"),
    least(known."pressedCallback", excluded."pressedCallback"),
    least(known."pressedContinue", excluded."pressedContinue"),
    least(known."createdAt", excluded."createdAt"),
    greatest(known."updatedAt", excluded."updatedAt")
)
