#!/usr/bin/env escript
%% A TLS server with the CRL settings that RabbitMQ is given, on a free port of 127.0.0.1. Says the port,
%% then for each connection who came or why it was refused. Ends with its standard input.
main([CertFile, KeyFile, CaFile, CrlDir]) ->
    {ok, _} = application:ensure_all_started(ssl),
    logger:set_primary_config(level, none),
    {ok, Listener} = ssl:listen(0, [
        {ip, {127, 0, 0, 1}}, {active, false}, {reuseaddr, true},
        {certfile, CertFile}, {keyfile, KeyFile}, {cacertfile, CaFile},
        {verify, verify_peer}, {fail_if_no_peer_cert, true},
        {versions, ['tlsv1.3', 'tlsv1.2']},
        {crl_check, peer},
        {crl_cache, {ssl_crl_hash_dir, {internal, [{dir, CrlDir}]}}}]),
    {ok, {_, Port}} = ssl:sockname(Listener),
    io:format("port ~p~n", [Port]),
    spawn(fun() -> io:get_line(""), halt(0) end),
    accept(Listener).

accept(Listener) ->
    {ok, Socket} = ssl:transport_accept(Listener),
    case ssl:handshake(Socket, 5000) of
        {ok, Tls} ->
            {ok, Der} = ssl:peercert(Tls),
            ssl:send(Tls, "welcome"),
            io:format("accepted ~p~n", [byte_size(Der)]),
            ssl:close(Tls);
        {error, {tls_alert, {Alert, _}}} -> io:format("refused ~p~n", [Alert]);
        {error, Reason} -> io:format("refused ~p~n", [Reason])
    end,
    accept(Listener).
