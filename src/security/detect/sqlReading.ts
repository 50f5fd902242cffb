// One reading of a text as the rest of an SQL expression: follows the grammar as far as it goes and judges by the
// shapes on the way. Text that stops being SQL before a shape is complete is text.

import type { Hit } from './finding.ts'
import {
  COLUMNS,
  CONSTANT,
  HARMFUL,
  LOOSE_STATEMENT,
  OBJECTS,
  PROBING,
  STATEMENT,
  SURE_COLUMNS,
  SURE_STATEMENT,
  SYSTEM,
  WHOLE_STATEMENT,
} from './sqlShapes.ts'
import { SqlTokenizer, type Token } from './sqlTokenizer.ts'

/** What the text landed in. */
export type Place = 'number' | 'quote'
type How = 'end' | 'comment' | 'open'

function isNamed(kind: string): boolean {
  return (
    kind === 'word' || kind === 'statement' || kind === 'clause' || kind === 'compare' || kind === 'prefix'
  )
}

/** Follows one reading of the text. */
export class SqlReading {
  readonly #text: string
  readonly #tokens: SqlTokenizer
  readonly #start: number
  readonly #place: Place
  /** Whether what stands before is the sort of text that values are. */
  readonly #valueBefore: boolean
  #token: Token
  #previous: Token
  /** The first token that is no sign. */
  #first: Token
  #count = 0
  #depth = 0
  #closedBefore = false
  #logicAt = 0
  #compared = false
  #called = false
  #probed = false
  #constant = false
  /** Whether the operand that came last stands right behind AND or OR. */
  #afterLogic = false
  /** Whether a condition compares a literal: nobody writes `or 1=1` about something. */
  #literal = false
  #selected = false
  /** Whether a word has been read that is none of the language. */
  #worded = false
  /** Whether the next AND belongs to BETWEEN. */
  #between = false
  #case = false
  #ended = false
  #operators = 0
  #clause = ''
  #afterSemicolon = false
  #statement = false

  /** @param start behind the quote when `place` is 'quote' */
  constructor(text: string, start: number, place: Place, valueBefore: boolean) {
    this.#text = text
    this.#start = start
    this.#place = place
    this.#valueBefore = valueBefore
    this.#tokens = new SqlTokenizer(text, start)
    this.#token = this.#previous = this.#first = { kind: 'end', text: '', start, end: start }
    this.#advance()
    this.#first = this.#token
  }

  #advance(): Token {
    this.#afterLogic = this.#previous.kind === 'logic'
    this.#previous = this.#token
    this.#token = this.#tokens.next()
    if (this.#count === 1 && this.#previous.kind === 'operator') this.#first = this.#token
    this.#count++
    return this.#token
  }

  /** The next tokens in the notation of the patterns above; at most `count`. */
  #ahead(from: number, count: number): string {
    const tokens = new SqlTokenizer(this.#text, from)
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

  #hit(reason: string): Hit {
    return { start: Math.max(0, this.#start - 1), end: Math.max(this.#token.end, this.#start), reason }
  }

  /** Whether what stands before the first operator is, or ends, a literal. */
  get #left(): boolean {
    return this.#out || this.#first.kind === 'number' || this.#first.kind === 'string'
  }

  /** Whether the literal is left for certain, or was none. */
  get #out(): boolean {
    return this.#place === 'quote' || this.#closedBefore
  }

  /** Whether a statement is due: behind a semicolon that follows no word, or a literal. */
  get #sure(): boolean {
    return this.#place === 'quote' ? this.#valueBefore : this.#afterSemicolon && this.#first.kind !== 'word'
  }

  /** The shape found, or null where the reading ends without one. */
  read(): Hit | null {
    let operand = this.#place === 'number' // whether an operand must come
    for (;;) {
      const { kind, text } = this.#token
      const previous = this.#previous
      // Between parentheses dialects have dozens of notations of their own: anything goes there.
      const strict = this.#depth === 0
      const first = this.#count === 1
      switch (kind) {
        case 'end':
        case 'comment':
          return this.#finish(kind, operand)
        case 'open':
          if (operand || previous.kind === 'string' || first || !strict) return this.#finish('open', operand)
          return null
        case 'number':
        case 'variable':
        case 'string':
          if (strict && !operand && !(kind === 'string' && this.#mayAdjoin())) return null
          if (kind === 'string') this.#worded = true
          if (
            kind === 'variable' &&
            /^@@..|^\\n/.test(text) &&
            !first &&
            (this.#operators || this.#selected)
          ) {
            if (text[0] === '@') return this.#hit('system variable')
            this.#constant = true
          }
          operand = false
          break
        case 'word':
          this.#worded = true
          if (operand) {
            if (CONSTANT.test(text)) this.#constant = true
            if (this.#operators && this.#valueBefore && this.#left && SYSTEM.test(text))
              return this.#hit('probing name')
            if (text === 'boolean' && previous.text === 'in' && this.#advance().text !== 'mode') return null
          } else if (strict && !this.#mayFollow()) return null
          operand = false
          break
        case '(': {
          const called = !first && isNamed(previous.kind) && (previous.kind === 'word' || operand)
          if (strict && !operand && !called && !this.#isQuery()) return null
          if (called) {
            const name = previous.text
            this.#called = true
            if (PROBING.test(name)) this.#probed = true
            if (
              HARMFUL.test(name) &&
              this.#count > 2 &&
              (this.#left || !OBJECTS.test(name)) &&
              (this.#operators || this.#clause || this.#statement || this.#sure || this.#selected)
            ) {
              return this.#hit('probing function')
            }
          }
          this.#depth++
          operand = true
          break
        }
        case ')':
          if (strict) {
            if (operand && !first && previous.kind !== 'operator') return null
            this.#closedBefore = true
          } else this.#depth--
          operand = false
          break
        case 'logic':
          if (strict && operand && !first) return null
          if (this.#between && text === 'and') {
            this.#between = false
            operand = true
            break
          }
          this.#logicAt ||= this.#count
          this.#operators++
          operand = true
          break
        case 'compare':
          if (operand && this.#isCall()) break
          if (
            strict &&
            operand &&
            previous.kind !== 'prefix' &&
            (previous.kind !== 'compare' || previous.text === 'is')
          ) {
            return null
          }
          this.#between = text === 'between'
          this.#compared = true
          if (this.#afterLogic && (previous.kind === 'number' || previous.kind === 'string'))
            this.#literal = true
          this.#operators++
          operand = text !== 'isnull' && text !== 'notnull'
          break
        case 'operator':
          if (operand && text === '*') operand = false
          else {
            if (strict && operand && text !== '+' && text !== '-' && previous.kind !== 'operator') return null
            if (!operand) this.#operators++
            operand = true
          }
          break
        case 'prefix':
          if (text === '~' && !operand) this.#compared = true
          else if (text === 'case') this.#case = true
          else if (strict && !operand && !/^(?:not|when|then|else)$/.test(text)) return null
          operand = true
          break
        case ',':
          if (strict && operand && !first) return null
          this.#operators++
          operand = true
          break
        case 'union':
          return this.#union()
        case 'select': {
          if (!operand && !this.#mayStart()) return null
          const due = first || !operand || previous.kind === '(' || this.#afterSemicolon || this.#statement
          const doubtful = !due || (this.#place === 'number' && this.#first.kind === 'word')
          const sure = this.#query(doubtful)
          if (sure) {
            if (previous.kind === '(') {
              if (
                this.#operators ||
                this.#depth > 1 ||
                this.#place === 'quote' ||
                this.#clause !== '' ||
                this.#query(true)
              ) {
                return this.#hit('subquery')
              }
            } else if (!first || this.#place === 'quote') return this.#hit('stacked statement')
          } else if (strict) return null
          this.#selected = true
          operand = true
          break
        }
        case ';':
          this.#afterSemicolon = true
          operand = true
          break
        case 'statement': {
          if (operand && !this.#afterSemicolon && !this.#statement && this.#isCall()) break
          const ahead = this.#ahead(this.#token.start, 6)
          if (SURE_STATEMENT.test(ahead)) return this.#hit('stacked statement')
          if (!this.#mayStart() || (operand && !this.#afterSemicolon && !this.#statement)) return null
          const doubtful = this.#place === 'number' && this.#first.kind === 'word'
          if (
            (doubtful ? WHOLE_STATEMENT : STATEMENT).test(ahead) ||
            (this.#sure && LOOSE_STATEMENT.test(ahead))
          ) {
            return this.#hit('stacked statement')
          }
          if (
            !/^(?:if|while|begin|do) /.test(ahead) ||
            !(this.#afterSemicolon || this.#statement || this.#out)
          )
            return null
          this.#statement = true
          if (/^begin (?:try|tran)/.test(ahead)) this.#advance()
          operand = true
          break
        }
        case 'clause': {
          if (operand && this.#isCall()) break
          const state = this.#clauses(operand)
          if (state === null || typeof state === 'object') return state
          operand = state
          continue // #clauses has read on
        }
        case 'other':
          return null
        default:
      }
      this.#advance()
    }
  }

  /** Whether a word of the language is the name of a function here: `like(...)`, `if(...)`, `left(...)`. */
  #isCall(): boolean {
    return this.#ahead(this.#token.end, 1) === '( '
  }

  /** Whether a word may stand here although no operand is due: as an alias, or as the call of a function that harms. */
  #mayFollow(): boolean {
    const { kind, text } = this.#previous
    if (text === 'as') return true
    if ((kind === 'word' || kind === ')') && this.#selected) return true
    if (this.#first.kind !== 'number' && this.#place === 'number') return false
    if (!HARMFUL.test(this.#token.text) || !this.#isCall()) return false
    this.#operators++
    return true
  }

  /** Whether a statement may begin here without a semicolon: SQL Server needs none. */
  #mayStart(): boolean {
    const quoted = this.#place === 'quote' && this.#valueBefore
    if (this.#count === 1) return quoted
    return (
      quoted ||
      this.#afterSemicolon ||
      this.#statement ||
      (this.#operators > 0 && this.#first.kind !== 'operator')
    )
  }

  /** Whether a string may stand here although no operand is due: strings join, and character sets introduce them. */
  #mayAdjoin(): boolean {
    const { kind, text } = this.#previous
    return this.#count === 1 || kind === 'string' || (kind === 'word' && /^(?:_|date|time|array)/.test(text))
  }

  /** Whether the current parenthesis holds a query. */
  #isQuery(): boolean {
    const ahead = this.#ahead(this.#token.end, 7)
    return ahead.startsWith('select ') && SURE_COLUMNS.test(ahead.slice(7))
  }

  /** Whether SELECT, the current token, begins a query. */
  #query(doubtful: boolean): boolean {
    return (doubtful ? SURE_COLUMNS : COLUMNS).test(this.#ahead(this.#token.end, 9))
  }

  /** After UNION: a query must follow. */
  #union(): Hit | null {
    const count = this.#count
    const ahead = this.#ahead(this.#token.end, 9).replace(/^(?:(?:all|distinct\w*|[-+(]) )+/, '')
    if (
      ahead.startsWith('select ')
        ? COLUMNS.test(ahead.slice(7)) || (this.#left && /^select \S+ (?:as )?\S+ [$#]/.test(ahead))
        : /^selectchar|^(?:table|values) [^$]/.test(ahead)
    ) {
      return this.#hit('union select')
    }
    const cut = ahead === '#'
    if ((cut || ahead === '$') && (count > 2 || (count > 1 && cut)) && this.#first.kind !== 'word') {
      return this.#hit('union')
    }
    return null
  }

  /** A clause of SELECT: whether an operand must come next, a finding, or null to give up. Reads on behind it. */
  #clauses(operand: boolean): boolean | Hit | null {
    const word = this.#token.text
    const strict = this.#depth === 0
    if (strict) {
      if (operand && this.#count > 1 && word !== 'end') return null
      if (
        this.#count === 1 &&
        this.#place === 'number' &&
        !/^(?:asc|desc|having|where|order|group)$/.test(word)
      ) {
        return null
      }
    }
    const next = this.#advance()
    switch (word) {
      case 'order':
      case 'group':
        if (next.text !== 'by') return strict ? null : false
        this.#clause = word
        this.#advance()
        return true
      case 'where':
      case 'having':
        this.#clause = word
        this.#logicAt ||= this.#count
        if (
          word === 'having' ? next.kind !== 'word' : this.#first.kind === 'clause' && next.kind === 'number'
        ) {
          this.#literal = true
        }
        return true
      case 'limit':
      case 'offset':
        if (strict && next.kind !== 'number' && next.kind !== '(' && next.kind !== 'word') return null
        this.#clause = word
        return true
      case 'procedure':
        return next.text === 'analyse' ? this.#hit('procedure call') : null
      case 'into':
        if (this.#valueBefore && /^(?:outfile|dumpfile)$/.test(next.text)) return this.#hit('writing a file')
        return strict ? null : true
      case 'for':
        if (strict && !/^(?:update|xml|json|share|browse)$/.test(next.text)) return null
        this.#advance()
        return false
      case 'as':
        if (next.kind !== 'word' && next.kind !== 'string') return null
        this.#advance()
        return false
      case 'from':
      case 'join':
      case 'using':
      case 'on':
        return this.#selected || this.#out || !strict ? true : null
      case 'with':
        if (next.text !== 'rollup' && next.text !== 'ties') return strict ? null : false
        this.#advance()
        return false
      case 'lock':
        if (next.text !== 'in') return strict ? null : false
        this.#advance() // SHARE
        this.#advance() // MODE
        this.#advance()
        return false
      case 'end':
        this.#ended = this.#case
        return this.#clause !== '' || this.#case || !strict ? false : null
      case 'asc':
      case 'desc':
        return false
      default:
        return strict ? null : false
    }
  }

  /** Whether the comment right behind a quote cuts a query off, as opposed to `'#name'` or a dash after a quotation. */
  #cuts(trailing: string): boolean {
    if (/["'\s]/.test(trailing)) return false
    return trailing.length < 8 ? !/^[a-z]{4}/i.test(trailing) : trailing.length < 17 && /^\W/.test(trailing)
  }

  /** Whether the first token is a word right behind the quote: `'match'` is the name of something. */
  #isQuoted(): boolean {
    return /\w/.test(this.#text[this.#start] ?? '') && !/^(?:r?like|regexp)$/.test(this.#previous.text)
  }

  /** The text is at its end, or in a comment or a string that reaches it: was it a shape? */
  #finish(how: How, operand: boolean): Hit | null {
    const quote = this.#place === 'quote'
    const out = this.#out
    const logic = this.#logicAt > 0
    if (quote && !this.#valueBefore) return null
    const complete = !operand || how === 'open' || this.#previous.kind === ';'
    const firstKind = this.#first.kind
    const trailing =
      how === 'comment' ? this.#text.slice(this.#token.start).replace(/^(?:--|#|\/\*)[\s+-]*/, '') : ''
    // A sentence may go on after what looked like a comment.
    if (
      /\S\s+\S+\s+\S/.test(trailing) &&
      !this.#selected &&
      !(logic && this.#compared && (quote || this.#literal))
    )
      return null
    if (this.#clause === 'order' || this.#clause === 'group') {
      if (
        complete &&
        (how === 'comment' || quote || this.#previous.kind === 'number') &&
        (out || firstKind === 'number' || (firstKind === 'clause' && how === 'comment'))
      ) {
        return this.#hit('ordering probe')
      }
    }
    const bare =
      firstKind !== 'word' &&
      firstKind !== 'clause' &&
      firstKind !== '(' &&
      this.#text[this.#first.start] !== '['
    if (logic && (complete || how === 'comment')) {
      const direct =
        out ||
        (bare && this.#logicAt > 1 && this.#logicAt <= 5) ||
        (firstKind === 'prefix' && /^\w/.test(this.#first.text)) ||
        this.#literal ||
        (this.#logicAt === 1 && (this.#probed || (this.#constant && /^\w/.test(this.#first.text))))
      if (how === 'open' && operand && quote && this.#operators === 1 && !this.#compared) {
        // `' OR '`: short on both sides, or it is a list in some program.
        return this.#text.length < 40 ? this.#hit('boolean condition') : null
      }
      if (
        (direct && (this.#compared || this.#probed || (this.#constant && (quote || how === 'comment')))) ||
        (direct && how === 'comment' && trailing.length < 3) ||
        (out && (quote || firstKind !== 'word') && (this.#called || how !== 'end')) ||
        (this.#called && this.#compared && this.#probed && !/^(?:if|while)$/.test(this.#first.text)) ||
        (how === 'comment' && firstKind === '(') ||
        (this.#literal && this.#clause === 'having')
      ) {
        return this.#hit('boolean condition')
      }
    }
    if (how === 'comment') {
      if (out && this.#operators === 0 && (quote ? this.#cuts(trailing) : trailing.length < 8)) {
        return this.#hit('comment that cuts the query')
      }
      if (HARMFUL.test(this.#first.text) && this.#called && trailing.length < 3)
        return this.#hit('probing function')
      if (this.#clause !== '' && bare && trailing.length < 3) return this.#hit('clause with a comment')
      if (firstKind === '(' && (this.#probed || this.#selected || (this.#compared && trailing === '')))
        return this.#hit('expression with a comment')
      if (out && (this.#compared || this.#called)) return this.#hit('condition with a comment')
    }
    if (how === 'open' && quote && operand && (this.#compared || this.#case || !this.#worded)) {
      // The query's own quote opens an operand: the text has an expression on both sides of it.
      const rest = this.#text.slice(this.#token.start)
      const short = rest.length < 14 && !/[,:;()[\]{}]/.test(rest)
      if (this.#operators > 1 && short && this.#count > 3) return this.#hit('boolean condition')
      if (this.#compared && !this.#called && this.#text.length < 24 && short && !this.#isQuoted())
        return this.#hit('boolean condition')
    }
    if (this.#ended && this.#compared && complete && !quote && firstKind !== 'word') {
      return this.#hit('conditional expression')
    }
    if (out && this.#called && this.#probed && this.#operators > 0) return this.#hit('function call')
    return null
  }
}
