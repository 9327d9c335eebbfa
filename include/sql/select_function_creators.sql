-- May an account without SUPER create triggers while the binary log is on?
SELECT @@GLOBAL.log_bin_trust_function_creators
