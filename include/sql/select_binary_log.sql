-- Is the binary log on?
SELECT @@GLOBAL.log_bin
