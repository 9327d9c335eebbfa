-- Is SUPER needed to create a trigger here?
SELECT @@GLOBAL.log_bin = 1 AND @@GLOBAL.log_bin_trust_function_creators = 0
