"""Descriptions of path parameters and of fields for the API document, where the type has none."""

from __future__ import annotations

_THINGS = {
    "achievements": "achievement",
    "attributes": "attribute",
    "boosts": "points boost",
    "events": "event",
    "leaderboards": "leaderboard",
    "levels": "points level",
    "metrics": "metric",
    "points": "points system",
    "tenants": "tenant",
    "triggers": "points trigger",
}
_USER = "Your own id of the user, percent-encoded."


def parameter(path: str, name: str) -> str:
    """Return the description of a path parameter; the segment before it tells of which kind of item it is."""
    before = path.split("{" + name)[0].rstrip("/").rsplit("/", 1)[-1]
    if before == "users" or name == "userId":
        return _USER
    if name == "value":
        return "The group: a value of the attribute that the leaderboard groups by, percent-encoded."
    kind = _THINGS.get(before, "item")
    return f"The key of the {kind}." if name == "key" else f"The id of the {kind}, a UUID."


FIELDS = {
    "achievementId": "The id of an achievement.",
    "achievementIds": "The ids of the achievements that complete this one together.",
    "achievementKey": "The key of an achievement to complete.",
    "achievement_completed": "Channels for a completed achievement.",
    "aggregate": "The function that computes a group's value from those of its members.",
    "aggregateTop": "The number of a group's best members that count where `aggregate` is `top`.",
    "aggregationPeriod": "A period that is kept for you.",
    "anniversaryYears": "Years after the user's `signUpDate`.",
    "appIcon": "A small picture of your application, null for none.",
    "appName": "The name of your application.",
    "appUrl": "The URL of your application.",
    "attributeId": "The id of an attribute.",
    "attributeValue": "The value that the attribute must have.",
    "attributes": "Values by the keys of attributes.",
    "autoEarnAmount": "Freezes that a user earns each `autoEarnInterval` days.",
    "autoEarnInterval": "Days of a streak after which a user earns `autoEarnAmount` freezes.",
    "badge": "A picture, null for none.",
    "badgeUrl": "The address of a picture, null for none.",
    "blockIfOutOfPoints": "Refuse an event whose user has too few points; else the total stops at 0.",
    "brandColor": "A colour like #3b5bdb.",
    "branding": "Names, colours and pictures that are kept for your own pages.",
    "breakdownAttributes": "User attributes whose values have a ranking of their own.",
    "capabilities": "The rights of the key.",
    "caps": "Rights besides watching: `events:write` for the user's own events.",
    "channels": "The channels that the token may watch, with at most four `*` in each; null for all leaderboards.",
    "controlRatio": "The percentage of new users who are drawn into the control group.",
    "created": "When it was created.",
    "customerId": "Your own id of the tenant.",
    "customizationEnabled": "Whether users choose the metrics, thresholds and days off of their streaks.",
    "daysOff": "Weekdays on which nothing is required, 0 is Sunday.",
    "decimals": "Decimals of a value.",
    "description": "A description for people.",
    "deviceTokens": "Tokens of the user's devices, for push notifications.",
    "displayAttributes": "User attributes that are shown beside each name.",
    "email": "The user's e-mail address.",
    "enabled": "Whether the user has a streak; `false` keeps it at 0.",
    "endTime": "The time of the day at which it ends, HH:MM.",
    "evaluationMode": "Whether all metrics must reach their thresholds (`AND`) or one of them (`OR`).",
    "eventAttributes": "Only events with these values count.",
    "experimentation": "The control group.",
    "font": "A typeface for your own pages.",
    "frequency": "The period in which the streak must be extended.",
    "fromRank": "The first place that earns the reward.",
    "groupBy": "The user attribute whose values are ranked as groups.",
    "homeZone": "The IANA time zone by which runs end and users without a zone live.",
    "idempotencyKey": "The event counts once, however often it is sent with this key.",
    "issues": "The items that were left out, with the reasons.",
    "keepOnLeave": "Whether a member's contribution stays with a group that the member leaves.",
    "key": "The key, which never changes.",
    "logo": "A picture, null for none.",
    "maxCount": "Freezes that a user can have.",
    "maxParticipants": "Ranks that count.",
    "maxPerDay": "The largest sum that a user's events may add on one local day.",
    "maxPoints": "The most that a user can have, null for no limit.",
    "maxValue": "The largest value of one event.",
    "metricId": "The id of a metric.",
    "metricKey": "The key of the metric.",
    "metricName": "The name of the metric.",
    "metricThreshold": "The points are awarded each time the user's total passes a multiple of this.",
    "metricValue": "The user's total that completes the achievement.",
    "minMembers": "Members that a group needs to be ranked.",
    "minValue": "The smallest value of one event.",
    "multiplier": "The factor for points.",
    "name": "The name, for people.",
    "nextCursor": "The cursor of the next page; absent on the last one.",
    "notifications": "The channels for each kind of notification, `[]` for none.",
    "operator": "Whether a user's events are summed, or the best or the last of them counts.",
    "order": "`desc`: more is better; `asc`: less is.",
    "participants": "The number of ranked users or groups.",
    "pointsSystemId": "The id of a points system.",
    "pointsSystemKey": "The key of the points system.",
    "pointsSystemName": "The name of the points system.",
    "previousRank": "The former rank, null for a user who was not ranked.",
    "public": "Whether it may be watched without a key or token.",
    "rank": "The rank, from 1; null for a user who is not ranked.",
    "rankBy": "The kind of value that the leaderboard ranks by.",
    "reactivation": "Channels for users who stayed away.",
    "recap": "Channels for recaps.",
    "rewards": "The rewards of places, given when a run is final.",
    "rounding": "The rounding of multiplied points.",
    "runInterval": "The length of a run, in `runUnit`.",
    "runUnit": "The unit of a run; null for one run that lasts.",
    "signUpDate": "When the user signed up with you.",
    "startCount": "Freezes that a user begins with.",
    "startTime": "The time of the day at which it begins, HH:MM.",
    "streakLength": "The length of the streak, in periods.",
    "streak_reminder": "Channels for reminders of a streak that is about to end.",
    "subscribeToEmails": "Whether the user wants e-mails.",
    "systemKey": "The key of the points system.",
    "threshold": "The least value that would be ranked now.",
    "tieRule": "The ranking of equal values.",
    "timeInterval": "The time between two awards, in `timeUnit`.",
    "timeUnit": "The unit of `timeInterval`.",
    "timestamp": "The time of the event, RFC 3339; now by default.",
    "toRank": "The last place that earns the reward.",
    "ttl": "Seconds until the token ends.",
    "tz": "The user's IANA time zone; UTC where there is none.",
    "unitType": "Whether the values are an amount of money.",
    "units": "The unit of the values: a label, or a currency like EUR.",
    "updated": "When it was last changed.",
    "url": "The address of the picture.",
    "userActivationWindow": "A number of days that is kept for you.",
    "userAttributes": "Values that the user must have.",
    "userId": "Your own id of the user.",
    "weekdays": "The weekdays on which it applies, 0 is Sunday; null for all.",
}
"""Fields that mean the same in every type."""

OF_TYPES = (
    ("EventRequest", {"value": "The amount that is added to the user's total.", "user": "The user of the event."}),
    ("BatchItem", {"value": "The amount that is added to the user's total.", "user": "The user of the event."}),
    ("NewValue", {"value": "The value that the event should have had."}),
    ("Completion", {"user": "The user who has completed it."}),
    ("ReplayRequest", {"users": "The users whose stored events are counted again."}),
    ("NewestRequest", {"users": "The ids of users."}),
    ("StreakWishes", {"metrics": "The user's own thresholds, null for those of the space."}),
    ("StreakMetric", {"threshold": "The value that the metric must reach in each period."}),
    ("MetricWish", {"threshold": "The value that the metric must reach in each period."}),
    ("ChangedPreferences", {"streak": "The user's own streak."}),
    ("StreaksChangeSettings", {"metrics": "The metrics that extend the streak.", "freezes": "Null for none."}),
    ("NewFreezes", {"freezes": "One for each user who gets one."}),
    ("NewPauses", {"pauses": "The users and their days."}),
    ("NewPause", {"start": "The first day.", "end": "The last day."}),
    (
        "NewAward",
        {
            "reason": "The reason, for the audit log and support.",
            "amount": "Below 0 it takes points.",
            "joinRuns": "Whether it also counts in runs that the user is not in yet.",
        },
    ),
    (
        "RewardItem",
        {"points": "Points that each place earns.", "freezes": "Streak freezes that each place earns."},
    ),
    ("RewardPoints", {"amount": "Points that each place earns."}),
    ("PreviewBoost", {"days": "The number of past days to evaluate."}),
    (
        "CopyCatalog",
        {
            "from": "The key of the environment to copy.",
            "apply": "Whether the changes are made; else they are only listed.",
            "prune": "Whether items that the other one lacks are archived.",
        },
    ),
    (
        "CreateAchievement",
        {"trigger": "The condition that completes it.", "status": "Whether it can be completed."},
    ),
    (
        "UpdateAchievement",
        {"trigger": "The condition that completes it.", "status": "Whether it can be completed."},
    ),
    (
        "CatalogAchievementsItem",
        {
            "trigger": "The condition that completes it.",
            "status": "Whether it can be completed.",
            "metric": "The key of the metric.",
            "achievements": "The keys of achievements.",
        },
    ),
    (
        "CatalogLeaderboardsItem",
        {"metric": "The key of the metric.", "pointsSystem": "The key of the points system."},
    ),
    ("CatalogTrigger", {"metric": "The key of the metric.", "achievement": "The key of the achievement."}),
    (
        "CatalogDocument",
        {
            "settings": "Settings of the space.",
            "attributes": "Attributes.",
            "metrics": "Metrics.",
            "achievements": "Achievements.",
            "points": "Points systems.",
            "leaderboards": "Leaderboards.",
            "streaks": "The rules of the streak.",
        },
    ),
    (
        "Points",
        {
            "levels": "Levels by points.",
            "boosts": "Periods in which points are multiplied.",
            "triggers": "The rules that award points.",
        },
    ),
    (
        "Trigger",
        {
            "type": "The kind of rule.",
            "points": "The points; below 0 they are deducted.",
            "status": "Whether it awards points.",
        },
    ),
    ("Level", {"points": "The total from which a user is on the level."}),
    ("Attribute", {"type": "Whether users or events have it."}),
    (
        "Leaderboard",
        {
            "status": "Whether it counts, will count, or has ended.",
            "start": "The first day.",
            "end": "The last day, null for none.",
        },
    ),
    ("Boost", {"start": "The first day.", "end": "The last day, null for none."}),
    ("Tenant", {"status": "Archived tenants have no access any more."}),
    ("Users", {"users": "The users."}),
    ("User", {"id": "Your own id of the user."}),
    ("Update", {"id": "The id of the item to change."}),
)
"""Fields with another meaning in some types: those whose name contains the word. The first match counts."""


def field(type_: str, name: str) -> str:
    """Return the description of a field; empty where its name is enough."""
    special = next((fields[name] for word, fields in OF_TYPES if word in type_ and name in fields), "")
    return special or FIELDS.get(name, "")
