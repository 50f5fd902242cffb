// What gives an attack away: functions, constants and the beginnings of queries and statements.

/** Functions that wait, read files, reach out, or leak through their error message: nobody calls them in a value. */
export const HARMFUL =
  /^(?:sleep|benchmark|pg_sleep\w*|load_file|extractvalue|updatexml|randomblob|json_keys|gtid_subset|regexp_substring|crypt_key|query_to_xml|lo_\w+|xp_\w+|(?:master|sys|ctxsys|msdb|utl_\w+|dbms_\w+|user_lock)\..+)$/
/** Functions that take a condition or tell something about the database: an answer of yes or no leaks through them. */
export const PROBING =
  /^(?:waitfor|json_depth|sp_\w+|make_set|elt|procedure|analyse|cha?r|ascii|ord|(?:un)?hex|substr\w*|mid|concat\w*|group_concat|version|database|schema|\w*user(?:_name)?|connection_id|cast|convert|isnull|(?:if)?null|nvl|ii?f|coalesce|len|length|char_length|count|floor|rand|md5|sha1|xmltype|aes_\w+|pi|sin|cos|is_srvrolemember|serverproperty|has_dbaccess|lower|upper|left|right|row|exp|db_name|host_name|suser_\w+|uuid|now|\w+_count|found_rows|bit_length|[lr]pad|soundex|greatest|least|nullif|generate_series|quote|unicode|instr|bin|conv|abs|power|round|truncate|sqlite_version|typeof|printf|zeroblob|total_changes|last_insert_rowid)$/
/** Those of them that other languages have as well. */
export const OBJECTS = /^(?:sys|master)\./
/** Packages and schemas whose very name in an operand is a probe. */
export const SYSTEM = /^(?:utl_\w+|dbms_\w+|ctxsys|sys|master|msdb|information_schema)\./
/** Tables in which databases describe themselves. */
export const CATALOG =
  /^(?:information_schema|mysql\.|performance_schema|pg_(?!dump)\w+|sqlite_(?:master|schema|temp_master)|sys(?:objects|columns|users|databases|tables|ibm\.|cat\.|proc|master\.|processes|logins)|(?:all|user|dba)_\w+|dual$|v\$\w+|gv\$\w+|rdb\$\w+|msys\w+|systables|systypes|syscat|domain\.|public\.)/
export const CONSTANT = /^(?:null|true|false|default|unknown|current_\w+|utc_\w+|sysdate|rownum|user)$/

// The patterns below are over texts of tokens with blanks between; number 0, string ', variable @, comment #, end $.

/** The first column of a query. */
export const COLUMNS =
  /^(?:(?:all|distinct\w*|(?:top|first|skip|limit) \(? ?0 ?\)?|sql_\w+|straight_join|not|binary|exists|[-+!~(]) )*(?:['0@*.]|\W 0|select |case |if |replace |left |[^\s'"]+(?: as)?(?: [\w']+)? (?:[-,()=<>|+*/;#&%^]|from |where |limit |into |group |order |having |union |collate )|[^\s'"]+ \.|(?:null|true|false|default|user|current_\w+|sysdate) |[\w.]+ \$|[^\s'"]+ ')/
/** The same where a sentence may be meant: a list of words is no proof. */
export const SURE_COLUMNS =
  /^(?:(?:all|distinct\w*|(?:top|first|skip|limit) \(? ?0 ?\)?|sql_\w+|not|[-+!~(]) )*(?:[@*] |0 (?:[-+*/,$#);]|from |union )|case when |[^\s'"]+ (?:\(|as \S+ from |from \S+ (?:[$#;,]|where |limit )))/
const OBJECT =
  '(?:table|database|user|view|index|procedure|proc|function|login|role|schema|trigger|sequence|column|tablespace|server|assembly|type|temporary|temp|or|unique|if|external|member|aggregate)'
/** Statements that nobody has in mind after a value; the first word is the statement's. */
export const STATEMENT = new RegExp(
  `^(?:(?:drop|create|alter) ${OBJECT} [^$#]|truncate table|(?:insert|merge|replace) (?:ignore |delayed )?into \\w|delete (?:quick |ignore )?from [\\w']|update (?:ignore |only )?[^\\s]+ set|begin declare|waitfor (?:delay|time) ['@]|exec(?:ute)? (?:\\(|@|immediate|\\w*[._])|declare (?:@|\\w+ \\w)|shutdown (?:[$#;]|with)|set @|copy (?:\\(|\\S+ (?:from|to|\\())|load data|print ['@]|(?:backup|restore) (?:database|log)|bulk insert|attach (?:database|')|(?:call|dbcc|handler) \\S+ (?:[(,]|open |read )|(?:grant|revoke|deny) (?:\\S+ ){1,3}(?:on|to|from) |begin tran)`,
)
/** Those which are meant even behind a word and a semicolon, where a sentence could go on: whole ones. */
export const WHOLE_STATEMENT = new RegExp(
  `^(?:(?:drop|truncate) ${OBJECT} (?:if exists )?\\S+ (?:[$#;,]|cascade)|create ${OBJECT} \\S+ (?:\\(|as |identified )|insert into \\S+ (?:\\(|values |select |set )|delete from \\S+ (?:[$#;]|where )|update \\S+ set \\S+ :?=|exec(?:ute)? \\w*[._]\\w|shutdown (?:[$#;]|with ))`,
)
/** Those which are meant only behind a semicolon or a literal. */
export const LOOSE_STATEMENT =
  /^(?:drop \S+ (?:#|; \$)|goto \w|(?:rollback|commit|vacuum|reconfigure) [$#;]|pragma \S+ (?:[($#;]|=))/
/** Those which cannot be meant otherwise and need no semicolon before them. */
export const SURE_STATEMENT = /^(?:waitfor (?:delay|time) '|exec(?:ute)? (?:\w*\.\.|xp_|@)|declare @)/
/** Those which begin with a word that is none of the language elsewhere: meant only right behind a semicolon that is due. */
export const AFTER_SEMICOLON =
  /^(?:show (?:tables|databases|schemas|grants|variables|columns|processlist|status|full|create) |lock tables? |(?:start|begin) transaction |(?:describe|desc|explain) \w+ [$#;(]|explain (?:analyze )?select |prepare \w+ (?:from|as) |flush (?:tables|privileges|logs|hosts) |install (?:plugin|soname|extension) |(?:optimize|repair|analyze|check|checksum) table |(?:analyze|checkpoint|reindex|savepoint|detach|vacuum) (?:\w+ )?[$#;]|comment on \w+ |notify \w+ |cluster |discard all |xp_\w+ |sp_\w+ |dbms_\w+|utl_\w+|sys\.)/
