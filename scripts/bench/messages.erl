%% messages.erl: two Erlang nodes over loopback, to compare the runtime's messages with. One way and there and back, as messages_peers.c does it.
%% The receiving end (sink, pong) registers itself as `bench`; the ends that measure print nanoseconds and stop the node.
-module(messages).
-export([start/1]).

start([Role, Other, Size, Count]) ->
    run(list_to_atom(Role), list_to_atom(Other), binary:copy(<<0>>, list_to_integer(Size)), list_to_integer(Count)).

run(sink, _, _, Count) ->
    register(bench, self()),
    receive {message, _} -> ok end,
    Began = erlang:monotonic_time(nanosecond),
    count(Count - 1),
    io:format("~w~n", [erlang:monotonic_time(nanosecond) - Began]);
run(pong, _, _, _) ->
    register(bench, self()),
    answer();
run(source, Other, Payload, Count) ->
    connect(Other),
    [{bench, Other} ! {message, Payload} || _ <- lists:seq(1, Count)],
    receive never -> ok end;
run(ping, Other, Payload, Count) ->
    connect(Other),
    register(bench, self()),
    there_and_back(Other, Payload),
    Began = erlang:monotonic_time(nanosecond),
    [there_and_back(Other, Payload) || _ <- lists:seq(2, Count)],
    io:format("~w~n", [erlang:monotonic_time(nanosecond) - Began]).

%% A message to a name that nobody has yet is lost: the other end has to be there, not only its node.
connect(Other) ->
    case rpc:call(Other, erlang, whereis, [bench]) of
        Pid when is_pid(Pid) -> ok;
        _ -> timer:sleep(20), connect(Other)
    end.

count(0) -> ok;
count(N) -> receive {message, _} -> count(N - 1) end.

answer() ->
    receive {ping, From, Payload} -> From ! {pong, Payload}, answer() end.

there_and_back(Other, Payload) ->
    {bench, Other} ! {ping, self(), Payload},
    receive {pong, _} -> ok end.
