#!/usr/bin/env escript
%% public_key's hash of each certificate's subject in a PEM file.
main([File]) ->
    {ok, Pem} = file:read_file(File),
    [begin
         Subject = element(7, element(2, public_key:pkix_decode_cert(Der, otp))),
         io:format("~s~n", [public_key:short_name_hash(Subject)])
     end || {'Certificate', Der, _} <- public_key:pem_decode(Pem)].
