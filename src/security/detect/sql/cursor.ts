// Where a reading of a text as SQL stands: the token at hand, the one before it, what comes next, and what has been seen
// on the way. Judges nothing: the rooms beside it do, each for some kinds of tokens.

import type { Hit } from '../finding.ts'
import { type Kind, SqlTokenizer, type Token } from './tokenizer.ts'

/** What the text landed in. */
export type Place = 'number' | 'quote'

const NAMED: ReadonlySet<Kind> = new Set<Kind>(['word', 'statement', 'clause', 'compare', 'prefix'])

/** One reading. Its fields are the memory that the rooms share. */
export class SqlCursor {
  readonly text: string
  readonly start: number
  readonly place: Place
  /** Whether what stands before is the sort of text that values are. */
  readonly valueBefore: boolean
  readonly #tokens: SqlTokenizer

  token: Token
  previous: Token
  /** The first token that is no sign. */
  first: Token
  /** How many tokens have been read, the one at hand included. */
  count = 0

  /** Whether an operand must come. */
  operand: boolean
  /** Parentheses that were opened here and are not closed. */
  depth = 0
  /** Whether a parenthesis has been closed that was opened before the text. */
  closedBefore = false
  /** The `count` at the first AND, OR, WHERE or HAVING; 0 before it. */
  logicAt = 0
  compared = false
  called = false
  /** Whether what was called tells something about the database. */
  probed = false
  constant = false
  /** Whether the operand that came last stands right behind AND or OR. */
  afterLogic = false
  /** Whether a condition compares a literal: nobody writes `or 1=1` about something. */
  literal = false
  selected = false
  /** Whether a word has been read that is none of the language. */
  worded = false
  /** Whether the next AND belongs to BETWEEN. */
  between = false
  case = false
  ended = false
  operators = 0
  /** The clause being read. */
  clause = ''
  afterSemicolon = false
  statement = false

  /** @param start behind the quote when `place` is 'quote' */
  constructor(text: string, start: number, place: Place, valueBefore: boolean) {
    this.text = text
    this.start = start
    this.place = place
    this.valueBefore = valueBefore
    this.operand = place === 'number'
    this.#tokens = new SqlTokenizer(text, start)
    this.token = this.previous = this.first = { kind: 'end', text: '', start, end: start }
    this.advance()
    this.first = this.token
  }

  advance(): Token {
    this.afterLogic = this.previous.kind === 'logic'
    this.previous = this.token
    this.token = this.#tokens.next()
    if (this.count === 1 && this.previous.kind === 'operator') this.first = this.token
    this.count++
    return this.token
  }

  /** The token behind the one at hand. */
  peek(): Token {
    return new SqlTokenizer(this.text, this.token.end).next()
  }

  /** The next tokens in the notation of the patterns in shapes.ts; at most `count`. */
  ahead(from: number, count: number): string {
    const tokens = new SqlTokenizer(this.text, from)
    let result = ''
    for (let left = count; left > 0; ) {
      const { kind, text } = tokens.next()
      if (kind === '(' && result.endsWith('( ')) continue
      left--
      if (kind === 'end') return `${result}$`
      if (kind === 'comment') return `${result}#`
      result += `${kind === 'number' ? '0' : kind === 'string' || kind === 'open' ? "'" : text} `
    }
    return result
  }

  /** What has been found, ending with the token at hand. */
  hit(reason: string): Hit {
    return { start: Math.max(0, this.start - 1), end: Math.max(this.token.end, this.start), reason }
  }

  /** Between parentheses dialects have dozens of notations of their own: anything goes there. */
  get strict(): boolean {
    return this.depth === 0
  }

  get isFirst(): boolean {
    return this.count === 1
  }

  /** Whether what stands before the first operator is, or ends, a literal. */
  get left(): boolean {
    return this.out || this.first.kind === 'number' || this.first.kind === 'string'
  }

  /** Whether the literal is left for certain, or was none. */
  get out(): boolean {
    return this.place === 'quote' || this.closedBefore
  }

  /** Whether a statement is due: behind a semicolon that follows no word, or a literal. */
  get statementDue(): boolean {
    return this.place === 'quote' ? this.valueBefore : this.afterSemicolon && this.first.kind !== 'word'
  }

  /** Whether a sentence may be meant: the text begins with a word. */
  get doubtful(): boolean {
    return this.place === 'number' && this.first.kind === 'word'
  }

  /** Whether a word of the language is the name of a function here: `like(...)`, `if(...)`, `left(...)`. */
  isCall(): boolean {
    return this.ahead(this.token.end, 1) === '( '
  }

  /** Whether the token before may be the name of a function. */
  get afterName(): boolean {
    return NAMED.has(this.previous.kind)
  }

  /** Whether a statement may begin here without a semicolon: SQL Server needs none. */
  mayStart(): boolean {
    const quoted = this.place === 'quote' && this.valueBefore
    if (this.isFirst) return quoted
    return (
      quoted ||
      this.afterSemicolon ||
      this.statement ||
      (this.operators > 0 && this.first.kind !== 'operator')
    )
  }
}

/**
 * What a room makes of the token at hand: a finding; `null` where the text stops being SQL before a shape is complete;
 * or `undefined` to go on with the next token.
 */
export type Step = Hit | null | undefined
