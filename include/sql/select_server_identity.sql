-- Which database server answers? SET GLOBAL holds for one server only.
SELECT CONCAT(@@GLOBAL.hostname, ':', @@GLOBAL.port), @@GLOBAL.version
