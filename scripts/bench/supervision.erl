%% supervision.erl: an OTP supervisor (one_for_one) over N children, each a process that owns a port to supervised.c and dies with it.
-module(supervision).
-behaviour(supervisor).
-export([start/1, init/1, child/3, run/3]).

start([Program, File, Count]) ->
    {ok, _} = supervisor:start_link(?MODULE, [Program, File, list_to_integer(Count)]),
    receive never -> ok end.

init([Program, File, Count]) ->
    {ok, {{one_for_one, 1000000, 1},
          [{N, {?MODULE, child, [Program, File, N]}, permanent, brutal_kill, worker, [?MODULE]} || N <- lists:seq(1, Count)]}}.

child(Program, File, N) -> {ok, spawn_link(?MODULE, run, [Program, File, N])}.

run(Program, File, N) ->
    Port = open_port({spawn_executable, Program}, [{args, [File, integer_to_list(N)]}, exit_status]),
    receive {Port, {exit_status, _}} -> exit(died) end.
