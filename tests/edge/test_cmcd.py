"""What players say (CMCD v1 and v2), as structured fields; and votes: one a session, within bounds."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.contract.messages import MAX_BODY_BYTES
from control.contract.observations import MOST_QUALITIES, MOST_TRIPS
from edge.beacon import cmcd
from edge.beacon.cmcd import Said
from edge.beacon.gathered import Gathered
from edge.beacon.sample import Sample
from edge.beacon.votes import Votes, notes_of, vote_of
from edge.beacon.watch import POSTS_A_SECOND, READ_A_SECOND
from kit.post import MOST_BYTES
from proxy.rules.key import cache_key, report, strip_cmcd
from proxy.serve import heads
from tests.support.watch import edge_watch

V1 = 'bl=21300,br=3200,bs,cid="f,1=2",d=4004,mtp=25400,ot=v,pr=1.08,rtp=12000,sf=d,sid="6e2f",st=v,su,tb=6000'
V2 = 'br=(64;a 3000;v),bl=(21300;v),sta=r,sid="abc",st=ll,v=2,msd=1200,mtp=(25400;v),tb=(6000;v),bsd=(700;v)'
NETWORK = "192.0.2.0/24"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (V1, Said("6e2f", "vod", 1, 0, None, 3200, 6000, 25400, False)),
        (V2, Said("abc", "live", 1, 700, 1200, 3000, 6000, 25400, False)),
        ("CMCD=br%3D3200%2Cbs%2Cot%3Dv%2Csid%3D%22a%2Cb%22", Said("a,b", "unknown", 1, 0, None, 3200, 0, 0, False)),
        ("bs=?0,su", Said()),
        ("br=300,tb=300,ot=a,mtp=900", Said(throughput_kbps=900)),
        ("sta=f,v=2", Said(failed=True)),
        ("bs=(?0;a ?1;v)", Said(stalls=1)),
        ("br=99999999,msd=999999999", Said(kbps=1_000_000, startup_ms=3_600_000)),
        ("br=-5,msd=-1,mtp=1.5", Said()),
        ("br=()", Said()),
        ('com.example-x="1"', Said()),
    ],
)
def test_a_report_is_a_dictionary(told: str, said: Said) -> None:
    """CTA-5004, CTA-5004-B: a comma in a string parts nothing; lists name the object that a number is of."""
    assert cmcd.read(told) == said


@pytest.mark.parametrize("told", ["", "br=", "BR=1", "br=1 bs", "CMCD=", "CMCD=%ff", "\u00e9=1", "a" * 4097, "x=(((("])
def test_what_cannot_be_read_is_no_report(told: str) -> None:
    assert cmcd.read(told) is None


@given(st.text())
def test_no_text_of_a_stranger_raises(told: str) -> None:
    cmcd.read(told)
    cmcd.read("CMCD=" + told)
    cmcd.lines(told.encode("utf-8", "replace"))


def test_events_are_a_report_a_line_and_few() -> None:
    """CTA-5004-B, event mode: reports parted by a line feed."""
    body = b'e=ps,sta=s,sid="a",ts=1,v=2\ne=t,sta=p,sid="a",ts=2,v=2\njunk(\n\n'
    assert len(cmcd.lines(body)) == 2
    assert len(cmcd.lines(b"bs\n" * 1000)) == cmcd.MOST_LINES


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("CMCD=br%3D1", "CMCD=br%3D1"),
        ("a=1&CMCD=br%3D1&b=2", "CMCD=br%3D1"),
        ("XCMCD=br%3D1", ""),
        ("a=1", ""),
        ("", ""),
    ],
)
def test_the_parameter_of_the_query_and_never_in_the_key(query: str, found: str) -> None:
    assert report(query) == found
    assert "br" not in cache_key("origin", f"/a?{query}") or not found


@given(st.lists(st.sampled_from(["CMCD=a", "CMCD=", "x=1", "XCMCD=2", "", "CMCD", "a=CMCD=1"]), max_size=6))
def test_a_target_without_its_report_has_the_same_key(parts: list[str]) -> None:
    """The lane keeps what it knows under the target without the report."""
    target = "/a?" + "&".join(parts)
    plain = strip_cmcd(target)
    assert cache_key("origin", plain) == cache_key("origin", target)
    assert report(plain.partition("?")[2]) == ""


def test_the_four_fields_are_one_dictionary() -> None:
    fields = (("CMCD-Object", "br=3200,tb=6000"), ("Accept", "x"), ("cmcd-status", "bs"), ("CMCD-Session", 'sid="a"'))
    assert heads.report(fields) == 'br=3200,tb=6000, bs, sid="a"'
    assert cmcd.read(heads.report(fields)) == Said("a", "unknown", 1, 0, None, 3200, 6000, 0, False)
    assert heads.report((("Accept", "CMCD-Object"),)) == ""


def test_one_vote_a_session_however_often_it_speaks() -> None:
    gathered = Gathered()
    for worker in range(2):
        votes = Votes()
        for _ in range(50):
            votes.said("s1", NETWORK, Said(stream="vod", stalls=1, kbps=1000, top_kbps=4000))
        votes.said("s2", NETWORK, Said(stream="vod", startup_ms=900, kbps=4000, top_kbps=4000))
        votes.said("s2", NETWORK, Said(throughput_kbps=9000, failed=worker == 1))
        notes = notes_of(votes.take(99))
        gathered.take(orjson.dumps({"trips": [], "votes": notes, "dropped": [0, 0]}))
    seen = gathered.observations()
    assert seen is not None
    (row,) = seen.quality
    assert (row.network, row.stream, row.votes, row.stalled, row.stalls) == (NETWORK, "vod", 2, 1, 100)
    assert (row.failed, row.started, row.startup_ms, row.rated, row.kbps) == (1, 1, 900, 2, 2500)
    assert (row.top_share, row.measured, row.throughput_kbps) == (0.625, 1, 9000)
    assert gathered.observations() is None


def test_votes_are_bounded() -> None:
    votes = Votes(most=2)
    for session in ("a", "b", "c", "a"):
        votes.said(session, NETWORK, Said(stalls=1))
    assert (len(votes), votes.dropped) == (2, 1)
    assert [name for name, _ in votes.take(1)] == ["a"]
    assert len(votes) == 1


def test_a_sample_keeps_each_with_the_same_chance() -> None:
    """Of 4000 in 40 places, each quarter of what came has about its quarter of the places."""
    quarters = [0, 0, 0, 0]
    for _ in range(200):
        sample: Sample[int] = Sample(40)
        for number in range(4000):
            sample.add(number)
        for number in sample.take():
            quarters[number // 1000] += 1
    assert sum(quarters) == 8000
    assert all(1700 < each < 2300 for each in quarters), quarters


async def test_the_watch_reads_within_its_bounds() -> None:
    watch = edge_watch()
    for number in range(READ_A_SECOND + 500):
        watch.told("bs", "192.0.2.1", f"session-{number}")
    for number in range(POSTS_A_SECOND + 5):
        watch.events(b"bs\nbs", "192.0.2.1", f"poster-{number}")
    watch.told("bs", "192.0.2.1", "")
    watch.told("bs", "nowhere", "x")
    watch.told("bs(", "192.0.2.1", "y")
    await watch.digest()
    gathered = Gathered()
    while note := watch.note():
        assert len(note) <= MOST_BYTES
        gathered.take(note)
    assert gathered.health()["sessions"] in range(
        READ_A_SECOND + POSTS_A_SECOND - 3, READ_A_SECOND + POSTS_A_SECOND + 1
    )


async def test_without_a_token_the_players_own_word_names_the_session() -> None:
    watch = edge_watch()
    for name in ("a", "b", "a", ""):
        watch.told(f'bs,sid="{name}"' if name else "bs", "192.0.2.1", "")
    await watch.digest()
    gathered = Gathered()
    gathered.take(watch.note() or b"")
    assert gathered.health()["sessions"] == 2


def test_the_largest_messages_fit() -> None:
    """A note in its datagram, an observation in control's bound."""
    watch, gathered = edge_watch(), Gathered()
    said = Said("s" * 64, "unknown", 1, 3_600_000, 3_600_000, 1_000_000, 1_000_000, 1_000_000, True)
    for number in range(5000):
        network = f"2001:db8:{number + 0x1000:x}::/48"
        watch._trips.add(network, 12345.678)
        watch._votes.add(f"{number:032x}", vote_of(network, said))
    while note := watch.note():
        assert len(note) <= MOST_BYTES
        gathered.take(note)
    seen = gathered.observations()
    assert seen is not None
    assert (len(seen.round_trips), len(seen.quality)) == (MOST_TRIPS, MOST_QUALITIES)
    assert len(seen.encode()) < MAX_BODY_BYTES
