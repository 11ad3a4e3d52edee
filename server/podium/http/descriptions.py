"""What parameters of paths and fields of bodies mean, for the API document, where no type says it better."""

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
    """What the parameter ``name`` of a path is; the segment before it says of what."""
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
    "aggregate": "How a group's value comes from those of its members.",
    "aggregateTop": "How many of its best members count for a group, where `aggregate` is `top`.",
    "anniversaryYears": "Years after the user's `signUpDate`.",
    "attributes": "Values by the keys of attributes.",
    "badge": "A picture, null for none.",
    "badgeUrl": "The address of a picture, null for none.",
    "breakdownAttributes": "User attributes whose values have a ranking of their own.",
    "created": "When it was made.",
    "description": "A text for people.",
    "deviceTokens": "Tokens of the user's devices, for push notifications.",
    "displayAttributes": "User attributes that stand beside each name.",
    "email": "The user's e-mail address.",
    "eventAttributes": "Only events with these values count.",
    "groupBy": "The user attribute whose values are ranked as groups.",
    "issues": "What was left out, and why.",
    "keepOnLeave": "Whether what a member brought stays with the group that the member leaves.",
    "key": "The key, which never changes.",
    "maxParticipants": "Ranks that count.",
    "maxPerDay": "The most that a user's events may bring on one local day.",
    "maxPoints": "The most that a user can have, null for no limit.",
    "maxValue": "The largest value of one event.",
    "metricId": "The id of a metric.",
    "metricKey": "The key of the metric.",
    "metricName": "The name of the metric.",
    "minMembers": "Members that a group needs to be ranked.",
    "minValue": "The smallest value of one event.",
    "name": "The name, for people.",
    "nextCursor": "Where the next page begins; absent on the last one.",
    "operator": "Whether a user's events are summed, or the best or the last of them counts.",
    "order": "`desc`: more is better; `asc`: less is.",
    "participants": "How many are ranked.",
    "pointsSystemId": "The id of a points system.",
    "pointsSystemKey": "The key of the points system.",
    "pointsSystemName": "The name of the points system.",
    "previousRank": "The rank before, null for one who was not ranked.",
    "public": "Whether it may be watched without a key or token.",
    "rank": "From 1; null for one who is not ranked.",
    "rankBy": "What the leaderboard ranks by.",
    "rewards": "What places earn when a run is final.",
    "runInterval": "How many of `runUnit` a run lasts.",
    "runUnit": "The unit of a run; null for one run that lasts.",
    "signUpDate": "When the user signed up with you.",
    "streakLength": "The length of the streak, in periods.",
    "subscribeToEmails": "Whether the user wants e-mails.",
    "threshold": "The least value that would be ranked now.",
    "tieRule": "How equal values are ranked.",
    "tz": "The user's IANA time zone; UTC where there is none.",
    "updated": "When it was last changed.",
    "userAttributes": "Values that the user must have.",
    "userId": "Your own id of the user.",
}
"""Fields that mean the same wherever they stand."""
