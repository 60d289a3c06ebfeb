"""The usage headers."""

import pytest

from shared.facebook.graph.usage import Spent, Usage, read_usage


def test_the_worst_of_calls_cpu_and_time_counts():
    told = read_usage({"x-app-usage": '{"call_count":28,"total_time":35,"total_cputime":25}'})
    assert told == Usage(app=35)


def test_a_page_is_as_spent_as_the_worst_that_is_told_of_it():
    told = read_usage(
        {
            "x-page-usage": '{"call_count":40,"total_cputime":5,"total_time":6}',
            "x-business-use-case-usage": (
                '{"102":[{"type":"messenger","call_count":100,"total_cputime":25,"total_time":25,'
                '"estimated_time_to_regain_access":19},{"type":"pages","call_count":1,'
                '"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":0}],'
                '"178":[{"type":"instagram","call_count":77,"total_cputime":1,"total_time":1,'
                '"estimated_time_to_regain_access":0}]}'
            ),
        }
    )
    assert told.of("102") == Spent(100, 19 * 60)
    assert told.of("103") == Spent(40, 0)
    assert told.of("103", "178") == Spent(77, 0)
    assert told.of("103", None) == Spent(40, 0)


def test_no_headers_tell_nothing():
    assert read_usage({}) == Usage()


@pytest.mark.parametrize("value", ["", "x", "[]", '{"102":1}', '{"102":[]}', '{"call_count":[]}'])
def test_headers_that_cannot_be_read_count_as_nothing(value):
    told = read_usage(
        {"x-app-usage": value, "x-page-usage": value, "x-business-use-case-usage": value}
    )
    assert (told.app, told.page, told.of("102")) == (0, 0, Spent())
