-- SPDX-License-Identifier: MIT
-- awcat with commands at its ends, and the line of --stats.

local lu = require "luaunit"
local child = require "support.child"

local quote = child.quote
local T = {}

local MAIN = quote 'os.exit(require("asyncwrite.awcat").main(arg), true)'

-- Runs the shell command, in which "awcat" is the tool: { code, out, err }.
local function sh(command)
  return child.sh(("awcat() { %s -e %s awcat \"$@\"; }; %s"):format(child.lua, MAIN, command), 60)
end

local function assert_result(result, code, out, err)
  lu.assertEquals({ code = result.code, out = result.out, err = result.err }, { code = code, out = out, err = err })
end

function T.test_what_a_command_prints_is_a_source()
  assert_result(sh "awcat 'exec:printf %s one; echo two' -", 0, "onetwo\n", "")
end

function T.test_a_command_reads_what_is_sent_to_it_and_is_waited_for()
  assert_result(sh "printf abc | awcat - 'exec:tr a-c A-C; sleep 0.05; echo .'", 0, "ABC.\n", "")
end

function T.test_commands_at_both_ends_carry_more_than_pipes_hold()
  assert_result(sh "awcat 'exec:head -c 1000000 /dev/zero' 'exec:wc -c'", 0, "1000000\n", "")
end

function T.test_the_exit_status_of_a_source_counts_after_all_it_printed()
  assert_result(sh "awcat 'exec:echo all of it; exit 3' -", 1, "all of it\n",
    "awcat: exec:echo all of it; exit 3: its exit status is 3, after 10 bytes\n")
end

function T.test_the_exit_status_of_a_destination_counts()
  assert_result(sh "echo x | awcat - 'exec:cat >/dev/null; exit 4'", 1, "",
    "awcat: exec:cat >/dev/null; exit 4: its exit status is 4, after 2 bytes\n")
end

function T.test_a_command_of_several_lines_fails_in_one()
  assert_result(sh "awcat 'exec:exit 3\n\texit 4' -", 1, "", "awcat: exec:exit 3 exit 4: its exit status is 3, after 0 bytes\n")
end

function T.test_a_command_that_a_signal_ends_is_told_by_the_name_of_the_signal()
  local result = sh "awcat 'exec:kill -KILL $$' -"
  assert_result(result, 1, "", "awcat: exec:kill -KILL $$: it was ended by SIGKILL, after 0 bytes\n")
end

function T.test_a_command_that_stops_reading_is_a_side_that_went_away()
  local result = sh "awcat 'exec:head -c 1000000 /dev/zero' 'exec:head -c 1 >/dev/null'"
  lu.assertEquals({ result.code, result.out }, { 1, "" })
  lu.assertStrContains(result.err, "exec:head -c 1 >/dev/null: the other side went away (EPIPE: broken pipe)")
end

function T.test_a_missing_command_is_a_wrong_command_line()
  for _, text in ipairs { "exec:", "exec: " } do
    local result = sh(("awcat %s -"):format(quote(text)))
    assert_result(result, 2, "", ("awcat: %s: it needs a command, as in exec:'gzip -9' (see awcat --help)\n"):format(text))
  end
end

function T.test_stats_prints_a_line_for_each_direction()
  local result = sh "printf hello | awcat --stats - exec:cat"
  lu.assertEquals({ result.code, result.out }, { 0, "hello" })
  lu.assertStrMatches(result.err,
    "awcat: %- %-> exec:cat: 5 bytes in [%d.]+ s, [%d.]+ [KM]?i?B/s, waited %d+ times, for [%d.]+ s\n")
end

function T.test_stats_are_printed_before_a_failure_too()
  local result = sh "awcat --stats 'exec:printf ab; exit 1' exec:cat"
  lu.assertEquals({ result.code, result.out }, { 1, "ab" })
  lu.assertStrMatches(result.err, "awcat: [^\n]+: 2 bytes in [^\n]+\nawcat: [^\n]+ exit status is 1, after 2 bytes\n")
end

return T
