import { describe, expect, it } from 'vitest'
import { detectSqlInjection } from '../../src/security/detect/sqlInjection.ts'
import { detectXss } from '../../src/security/detect/xss.ts'
import { encodings, htmlMutations, type Mutate, sqlMutations, stream } from './mutations.ts'
import { sqlAttacks } from './sqlAttacks.ts'
import { xssAttacks } from './xssAttacks.ts'

/** The share of texts that a detector finds, and the first ones that it does not. */
function recall(
  detect: (text: string) => unknown,
  texts: readonly string[],
): { share: number; missed: string[] } {
  const missed = texts.filter((text) => !detect(text))
  return { share: 1 - missed.length / texts.length, missed: missed.slice(0, 5) }
}

describe('SQL injections of every shape out of every literal', () => {
  const attacks = sqlAttacks().map(({ text }) => text)

  it('are found as they are', () => {
    expect(recall(detectSqlInjection, attacks)).toEqual({ share: 1, missed: [] })
  })

  // Some combinations are no SQL any more: a comment for a blank swallows what follows it.
  it.each(Object.entries<Mutate>({ ...sqlMutations, ...encodings }))('are found under: %s', (_, mutate) => {
    const random = stream(1)
    const { share, missed } = recall(
      detectSqlInjection,
      attacks.map((text) => mutate(text, random)),
    )
    expect(share, missed.join('\n')).toBeGreaterThan(0.98)
  })
})

describe('SQL injections in notations of single databases', () => {
  it.each([
    `' or data @> '{"a":1}'-- `,
    `1' or '{"b":2}'::jsonb <@ '{"b":2,"c":3}'::jsonb -- `,
    `1 and '{"a":1}'::jsonb @> '{}'::jsonb`,
    `1 union select first 1 name from rdb$relations`,
    `' union select skip 1 first 1 tabname from systables--`,
    `'-'`,
    'IF(7=7,name,price)',
    "(iif('a'='a',1,1/0))",
    'MAKE_SET(3<4,1)',
    `"^"`,
    `'&'`,
    `1;show tables`,
    `'; lock tables members write;-- `,
    `x';start transaction;-- `,
    `1); flush privileges#`,
    `5;explain select 1`,
    `';prepare s from 0x61;`,
    `1' and st_latfromgeohash(version())='a`,
    `7) or polygon((select * from (select * from (select user())a)b))-- `,
    `'&&xmlexists('/a' passing '<a/>')&&'`,
    `1 or 1.e(ascii(substring(version(),1,1)))=56`,
    `x" or {x(1)}={x(1)} or "`,
  ])('are found: %s', (text) => {
    expect(detectSqlInjection(text)).not.toBeNull()
  })
})

describe('script injections of every kind', () => {
  const attacks = xssAttacks()

  it('are found as they are', () => {
    expect(recall(detectXss, attacks)).toEqual({ share: 1, missed: [] })
  })

  it.each(Object.entries<Mutate>({ ...htmlMutations, ...encodings }))('are found under: %s', (_, mutate) => {
    const random = stream(1)
    expect(
      recall(
        detectXss,
        attacks.map((text) => mutate(text, random)),
      ),
    ).toEqual({ share: 1, missed: [] })
  })

  it('are found under two mutations at once', () => {
    const random = stream(2)
    const twice = Object.values(htmlMutations).flatMap((first) =>
      Object.values(encodings).flatMap((second) =>
        attacks.map((text) => second(first(text, random), random)),
      ),
    )
    expect(recall(detectXss, twice).share).toBeGreaterThan(0.99)
  })
})

describe('script injections in Markdown and templates', () => {
  it.each([
    '[click](javascript:alert(1))',
    'see [this]( JaVaScRiPt:alert(1) "title")',
    '![x](<java\tscript:alert(1)>)',
    '[a][b]\n\n[b]: javascript:alert(1)',
    '[x](javascript&colon;alert(1))',
    '[x](data:text/html;base64,PHNjcmlwdD4=)',
    "{{constructor.constructor('alert(1)')()}}",
    "{{ 'a'.constructor.prototype.charAt=[].join;$eval('x=1') }} {{x=''['constructor'](alert)}}",
  ])('are found: %s', (text) => {
    expect(detectXss(text)).not.toBeNull()
  })

  it.each([
    '[docs](https://docs.example/javascript:guide)',
    '[JavaScript](javascript.html) and arr[0](x)',
    '[1]: JavaScript: The Good Parts',
    '{{ user.name }} and {{ items.length }}',
    '{{ constructor }} is a word; (so is this)',
    'map[key]: value',
  ])('but not in %s', (text) => {
    expect(detectXss(text)).toBeNull()
  })
})

describe('ordinary text is no attack', () => {
  it.each([
    'Please select an item from the list, or drop it; then update me.',
    "It's 5 or 6 o'clock -- whichever you prefer.",
    'The union of select committees will grant an interview and execute the plan.',
    "Rock 'n' roll and rhythm 'n' blues = my youth",
    'Where do I order? By phone, or online; and is the limit 5 or 10?',
    'SELECT chooses columns, UNION joins two queries, and DROP removes a table.',
    'In the lesson the teacher wrote or 1=1 on the board and asked what it does.',
    "Mr O'Neill's and Mrs O'Hara's houses",
    'My height is 5\' 11" and the desk is 40" wide -- will it fit?',
    'x = 5 and y = 7, so x + y = 12',
    'if a > b or b > c then a > c? Not if a = b; think again',
    'Name: "Order by Friday" (limit 2 per customer)',
    'C# or F#? I like C#.',
    'rating: 4/5 -- would buy again # recommended',
    "the '80s and '90s; 'twas great",
    '(555) 010-2222 or (555) 010-3333',
    "Don't delete from the cart; I'll update it later",
    'wait for delay of 10 minutes; then call me',
    'https://shop.example/items?order=by-price&limit=10&union=no',
    "l'amour ou l'amitié ? c'est égal",
    'exec summary: declare victory, set goals, begin again',
    '1 or 2 people, and 3 or 4 dogs',
    "I ordered 2 or 3 shirts; where are they? It's late; update me.",
    'Where\'s the "union select" button? I can\'t find it; help',
    '3 is between 1 and 5',
    'x > 5 and y < 3',
    '10 and 20 are even; 11 or 13 are not',
    "5 in 10 people like 'Friends'",
    'Why does "SELECT COUNT(*) FROM orders GROUP BY day" return nothing?',
    "Write a SQL query that finds employees whose salary > 50000 and department = 'Sales'",
    "What does `OR 1=1` do in a SQL query, and why's it dangerous?",
    'The 12" pizza is $9; the 16" is $14 -- or get both for $20',
    "console.log('a' && 'b'); // what's printed?",
    "if x == 'a' or y == 'b': pass",
    "name = 'x' if a > b else 'y'",
    'Thanks; call me on Monday, and copy it to the folder',
    'Yes; grant access to Bob; drop it off at five',
    "C'est l'heure -- ou pas? J'ai 5 ou 6 euros; et toi?",
    "don' or won' -- which one = right?",
    "My list: '=', '<>' and 'like' are operators",
    'Press * or # -- then wait; thanks',
    '"select"',
    'Quoted words: "union", \'table\' and "where" (in SQL)',
    '["select", "group"]',
    'all friends union',
    'old "vinyl" -jazz -union',
    '};\nexport declare const text = "it is"',
    '};\nexport create table of contents',
    'What do * and & and ^ do between quotes?',
    'sort by name; show me the tables',
    'Apples; lock the table, please',
  ])('SQL: %s', (text) => {
    expect(detectSqlInjection(text)).toBeNull()
  })

  it.each([
    'a < b and c > d, so x <3 you',
    'Map<String, List<Integer>> and std::vector<int>',
    'const [on, setOn] = useState(false); on = true',
    'The light is on = good; one = 1; only = all',
    '<b>bold</b> <a href="https://ok.example/page">link</a> <img src="cat.png" alt="my cat">',
    'JavaScript: The Good Parts',
    'Turn it on=off, or once=twice',
    '<vector> and <iostream> are headers; <T extends object> is a generic',
    'Use the data: it says image/png or text/plain',
    'Q&A: what does R&D mean? AT&T; 100 %25',
    '<Button onClick={save} disabled>Save</Button>',
    'email <nobody@mail.example> on Monday',
    'if (a<b && c>d) return "x=y"',
    '<p style="color: red; margin: 0">text</p>',
  ])('markup: %s', (text) => {
    expect(detectXss(text)).toBeNull()
  })
})
