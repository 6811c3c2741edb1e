"""A build that is told to be quiet says what it made and nothing else."""

import json

import pytest


@pytest.mark.parametrize('at', [0, 1])
def test_a_quiet_build_prints_its_result_alone(front, project, tmp_path, at):
    words = project.words(tmp_path / 'out', '--mix-only')
    words.insert(at, '--quiet')
    code, told, news = front(*words)
    assert (code, news) == (0, '')
    [line] = told.splitlines()
    assert line.startswith(f'mix: sealed {tmp_path}/out/mix (')


def test_with_log_json_each_line_on_standard_error_is_an_object(front, project, tmp_path):
    words = [*project.words(tmp_path / 'out', '--mix-only', '--workers', '0'), '--log-json']
    code, told, news = front(*words)
    events = [json.loads(line) for line in news.splitlines()]
    assert code == 0
    assert 'mix: sealed' in told
    done = {event['step'] for event in events if event['event'] == 'done'}
    assert {event['step'] for event in events if event['event'] == 'begun'} == done
    assert {'samples', 'stars', 'plan'} <= done
    assert all(event['text'] and event['at'] for event in events)


def test_with_log_json_a_mistake_is_an_object_too_and_the_next_command_is_plain(front, tmp_path):
    code, told, news = front('--log-json', 'show', tmp_path / 'none')
    end = json.loads(news)
    assert (code, told) == (2, '')
    assert (end['event'], end['code']) == ('end', 2)
    assert end['text'].startswith('phantom: ')
    assert front('show', tmp_path / 'none')[2].startswith('phantom: ')
