// Lexical rules of SQL as MySQL, PostgreSQL, SQLite, SQL Server and Oracle have them, where they differ the union of
// all: a text is suspicious if any of them would read it so. Reads one token at a time; knows no attack.

/** What a token is to the grammar. */
export type Kind =
  | 'number'
  | 'string' // closed; quoted identifiers too
  | 'open' // a string that never ends: the query's own quote will close it
  | 'variable'
  | 'word'
  | 'logic' // AND, OR, XOR, &&, ||
  | 'compare'
  | 'operator' // arithmetic, bits, casts
  | 'prefix' // NOT, !, ~, BINARY, EXISTS, DISTINCT, CASE, WHEN: an operand must follow
  | 'union'
  | 'select'
  | 'statement'
  | 'clause'
  | '('
  | ')'
  | ','
  | ';'
  | 'comment' // to the end of the text
  | 'other'
  | 'end'

export interface Token {
  readonly kind: Kind
  /** Lower case; empty for strings. */
  readonly text: string
  readonly start: number
  readonly end: number
}

function table(entries: readonly (readonly [Kind, string])[]): ReadonlyMap<string, Kind> {
  return new Map(entries.flatMap(([kind, words]) => words.split(' ').map((word) => [word, kind] as const)))
}

const WORDS = table([
  ['logic', 'and or xor'],
  [
    'compare',
    'like rlike regexp glob ilike similar sounds in is between isnull notnull match against escape overlaps',
  ],
  ['operator', 'div mod collate'],
  ['prefix', 'not binary exists distinct all any some case when then else prior unique'],
  ['union', 'union intersect except minus'],
  ['select', 'select'],
  [
    'statement',
    'insert update delete drop create alter truncate exec execute declare waitfor shutdown if begin goto grant revoke ' +
      'copy call set backup restore merge print load attach pragma handler kill use replace rename deny dbcc ' +
      'reconfigure bulk vacuum do while commit rollback return',
  ],
  [
    'clause',
    'where having order group limit procedure into for from as by offset fetch returning using on join left inner ' +
      'cross natural asc desc end with lock window rows separator at',
  ],
])

// Repeated groups are bounded: the engine remembers every round, and its memory of them has an end.
// Sticky, one alternative per class, tried in this order. `#` starts a comment wherever no name is being read.
const BLANK =
  /(?:[\s\0-\x20\u0080-\u00a0]|\/\*!\d*|\{[a-z]+\b|\}|\*\/|--[^\n\r]*[\n\r]|#[^\n\r]*[\n\r]){1,999}/y
const NUMBER =
  /0x[\da-f]*|0b[01]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+|e(?![a-z\d_]))?(?:[fd](?=union|[^\w]|$))?/iy
const WORD = /[a-z_\u00a1-\uffff][\w$\u00a1-\uffff]*/iy
const REST_OF_NAME = /\s*\.{1,2}\s*(?:[a-z_*\u00a1-\uffff][\w$\u00a1-\uffff]*|(?=[`"[]))/iy
/** A dot behind a word of the language makes it a name, unless a number begins there. */
const QUALIFIES = /^\.\D/
const VARIABLE = /@@?(?:[\w$.]+|(?=[`'"])|:?(?==))?|:[a-z]\w*|\$\d+|\?|\\n(?!\w)/iy
const COMPARE = /@>|<@|@\?|#>>?|<=>|<>|!=|<=|>=|==|!<|!>|\^=|~\*|!~\*?|=|<|>/y
const OPERATOR = /\|\||&&|<<|>>|:=|::|->>?|[-+*/%&|^]/y
const DOLLAR = /\$(?:[a-z_]\w*)?\$/iy
const STRING_PREFIX = /(?:n|x|b|e|u&|q|_[a-z]\w*)?$/i

function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : -1
}

/** Reads the tokens of a text from `at`, one after the other. */
export class SqlTokenizer {
  readonly #text: string
  #at: number

  constructor(text: string, at = 0) {
    this.#text = text
    this.#at = at
  }

  /** Where the next token would begin. */
  get position(): number {
    return this.#at
  }

  next(): Token {
    const text = this.#text
    let at = this.#at
    for (;;) {
      for (let next = match(BLANK, text, at); next > at; next = match(BLANK, text, at)) at = next
      if (text.charCodeAt(at) !== 0x2f || text.charCodeAt(at + 1) !== 0x2a) break
      const close = text.indexOf('*/', at + 2)
      if (close < 0) return this.#token('comment', at, text.length)
      at = close + 2
    }
    if (at >= text.length) return this.#token('end', text.length, text.length)
    const char = text[at] as string
    switch (char) {
      case '(':
      case ')':
      case ',':
      case ';':
        return this.#token(char, at, at + 1)
      case "'":
      case '"':
      case '`':
        return this.#quoted(at, at, char)
      case '[':
        return this.#quoted(at, at, ']')
      case '#':
        return this.#token('comment', at, text.length)
      case '-':
        if (text[at + 1] === '-') return this.#token('comment', at, text.length)
        break
      default:
    }
    const code = char.charCodeAt(0)
    if ((code >= 0x30 && code <= 0x39) || code === 0x2e) {
      const end = match(NUMBER, text, at)
      if (end > at) return this.#token('number', at, end)
      return this.#token('other', at, at + 1)
    }
    if ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a ? true : code === 0x5f || code > 0xa0)
      return this.#word(at)
    let end = -1
    if ('$@:?\\'.includes(char) && !(char === '@' && (text[at + 1] === '>' || text[at + 1] === '?'))) {
      end = match(DOLLAR, text, at)
      if (end > 0) {
        const tag = text.slice(at, end)
        const close = text.indexOf(tag, end)
        return close < 0
          ? this.#token('open', at, text.length)
          : this.#token('string', at, close + tag.length)
      }
      end = match(VARIABLE, text, at)
      if (end > 0) {
        const quote = text[end] as string
        if (
          end < text.length &&
          (quote === '`' || ((quote === '"' || quote === "'") && text[end - 1] === '@'))
        ) {
          const close = text.indexOf(quote, end + 1)
          if (close > 0) end = close + 1
        }
        return this.#token('variable', at, end)
      }
    }
    end = match(COMPARE, text, at)
    // `<<` and `>>` shift.
    if (end > 0 && !(end === at + 1 && text[end] === char && char !== '=')) {
      return this.#token('compare', at, end)
    }
    if (char === '!' || char === '~') return this.#token('prefix', at, at + 1)
    end = match(OPERATOR, text, at)
    if (end > 0) {
      const symbol = text.slice(at, end)
      return this.#token(symbol === '||' || symbol === '&&' ? 'logic' : 'operator', at, end)
    }
    return this.#token('other', at, at + 1)
  }

  #token(kind: Kind, start: number, end: number): Token {
    this.#at = end
    const quoted = kind === 'string' || kind === 'open' || kind === 'comment'
    const text = quoted ? '' : this.#text.slice(start, Math.min(end, start + 40)).toLowerCase()
    return { kind, text, start, end }
  }

  #word(start: number): Token {
    const text = this.#text
    let end = match(WORD, text, start)
    const quote = text[end]
    if ((quote === "'" || quote === '"') && end - start < 12 && STRING_PREFIX.test(text.slice(start, end))) {
      if (STRING_PREFIX.exec(text.slice(start, end))?.index === 0) return this.#quoted(start, end, quote)
    }
    const first = text.slice(start, Math.min(end, start + 24)).toLowerCase()
    const kind = WORDS.get(first)
    if (kind && !QUALIFIES.test(text.slice(end, end + 2))) return this.#token(kind, start, end)
    if (kind === 'select' || kind === 'union') return this.#token(kind, start, end)
    for (;;) {
      const more = match(REST_OF_NAME, text, end)
      if (more < 0) break
      end = more
      const open = text[end]
      if (open === '`' || open === '"' || open === '[') {
        const close = text.indexOf(open === '[' ? ']' : open, end + 1)
        if (close < 0) break
        end = close + 1
      }
    }
    return this.#token('word', start, end)
  }

  /** A quoted piece from `start`; its quote stands at `open`. A doubled quote and one after `\` stand for itself. */
  #quoted(start: number, open: number, quote: string): Token {
    const text = this.#text
    let at = open + 1
    for (;;) {
      const close = text.indexOf(quote, at)
      if (close < 0) return this.#token('open', start, text.length)
      if (text[close + 1] === quote && quote !== ']') {
        at = close + 2
        continue
      }
      let slashes = 0
      while (close - slashes > at && text[close - 1 - slashes] === '\\') slashes++
      if (slashes % 2 === 1) {
        at = close + 1
        continue
      }
      return this.#token('string', start, close + 1)
    }
  }
}
