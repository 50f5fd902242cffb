// SQL injection: would this text, put where a query expects one value, turn into more of the query than a value?
// Reads it as the continuation of a number, of '...' and of "...", follows the grammar as far as it goes, and judges
// by the shapes on the way. Text that stops being SQL before a shape is complete is text.

import { findInForms } from './decode.ts'
import type { Finding, Hit } from './finding.ts'
import { SqlTokenizer, type Token } from './sqlTokenizer.ts'

/** Functions nobody calls in a value: they wait, read files, reach out, or leak through their error message. */
const PROBES =
  /^(?:sleep|benchmark|pg_sleep\w*|waitfor|load_file|extractvalue|updatexml|randomblob|json_keys|json_depth|gtid_subset|xp_\w+|sp_\w+|(?:master|sys|ctxsys|utl_\w+|dbms_\w+|user_lock|msdb)\..+|regexp_substring|crypt_key|make_set|elt|procedure|analyse|char|chr|ascii|ord|hex|unhex|substr|substring|mid|concat|concat_ws|group_concat|version|database|schema|user|current_user|system_user|session_user|connection_id|cast|convert|isnull|ifnull|nvl|if|iif|coalesce|len|length|char_length|count|floor|rand|md5|sha1|xmltype|aes_encrypt|aes_decrypt|pi|sin|cos|is_srvrolemember|serverproperty|has_dbaccess|lower|upper|left|right|row|exp|db_name|host_name|suser_\w+|uuid|now|row_count|found_rows|bit_length|lpad|rpad|soundex|ascii|greatest|least|nullif|generate_series|query_to_xml|lo_\w+|quote|unicode|instr|bin|conv|abs|power|round|truncate|sqlite_version|typeof|printf|zeroblob|total_changes|last_insert_rowid)$/
/** Those of them that need no comparison around them. */
const HARMFUL =
  /^(?:sleep|benchmark|pg_sleep\w*|load_file|extractvalue|updatexml|randomblob|json_keys|gtid_subset|xp_\w+|(?:master|sys|ctxsys|utl_\w+|dbms_\w+|user_lock|msdb)\..+|regexp_substring|crypt_key|query_to_xml|lo_\w+)$/

const CONSTANT = /^(?:null|true|false|default|unknown|current_\w+|utc_\w+|sysdate|rownum|user)$/
/** What a value before the quote looks like, as opposed to the code or the sentence around a quotation. */
const CODE_BEFORE = /[([{=,:+`\u201c\u201e]\s*$|\n/
const OBJECT =
  /^(?:table|database|user|view|index|procedure|proc|function|login|role|schema|trigger|sequence|column|tablespace|server|assembly|type|temporary|temp|or|unique|if|external|member|aggregate)$/

/** What the text landed in. */
type Place = 'number' | 'quote'

/** Follows one reading of the text. */
class Reading {
  readonly #text: string
  readonly #tokens: SqlTokenizer
  readonly #start: number
  readonly #place: Place
  /** Whether what stands before is the sort of text that values are, see `CODE_BEFORE`. */
  readonly #valueBefore: boolean
  #token: Token
  #previous: Token
  #count = 0
  #depth = 0
  #closedBefore = false
  #first: Token
  #logic = false
  #logicAt = 0
  #compared = false
  #called = false
  #probed = false
  #selected = false
  #operators = 0
  #clause = ''
  #afterSemicolon = false
  #statement = false

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
    this.#previous = this.#token
    this.#token = this.#tokens.next()
    this.#count++
    return this.#token
  }

  #hit(reason: string): Hit {
    return { start: Math.max(0, this.#start - 1), end: Math.max(this.#token.end, this.#start), reason }
  }

  /** The shape found, or null where the reading ends without one. */
  read(): Hit | null {
    let operand = this.#place === 'number' // whether an operand must come
    for (;;) {
      const { kind, text } = this.#token
      switch (kind) {
        case 'end':
          return this.#finish('end')
        case 'comment':
          return this.#finish('comment')
        case 'open':
          if (operand || this.#previous.kind === 'string' || this.#count === 1)
            return this.#finish('open', operand)
          return null
        case 'number':
        case 'variable':
        case 'string':
          if (!operand && !(kind === 'string' && (this.#previous.kind === 'string' || this.#count === 1)))
            return null
          if (
            kind === 'variable' &&
            text.startsWith('@@') &&
            text.length > 3 &&
            this.#count > 1 &&
            this.#operators
          )
            return this.#hit('system variable')
          operand = false
          break
        case 'word': {
          if (!operand) {
            if (this.#previous.text !== 'as') return null
            break
          }
          operand = false
          break
        }
        case '(': {
          const called = this.#previous.kind === 'word' && this.#count > 1
          if (
            !operand &&
            !called &&
            !(this.#previous.kind === 'clause' || this.#previous.kind === 'statement')
          )
            return null
          if (
            called ||
            (this.#previous.kind === 'clause' && /^(?:left|procedure)$/.test(this.#previous.text))
          ) {
            this.#called = true
            if (PROBES.test(this.#previous.text)) this.#probed = true
            if (HARMFUL.test(this.#previous.text) && this.#count > 2 && (this.#operators || this.#clause))
              return this.#hit('probing function')
          }
          this.#depth++
          operand = true
          break
        }
        case ')':
          if (operand && this.#previous.kind !== '(' && this.#count > 1 && this.#previous.kind !== 'operator')
            return null
          if (this.#depth > 0) this.#depth--
          else this.#closedBefore = true
          operand = false
          break
        case 'logic':
          if (operand && this.#count > 1) return null
          this.#logic = true
          this.#logicAt ||= this.#count
          this.#operators++
          operand = true
          break
        case 'compare':
          if (operand && this.#previous.kind !== 'prefix' && this.#previous.kind !== 'compare') return null
          this.#compared = true
          this.#operators++
          operand = text !== 'isnull' && text !== 'notnull'
          break
        case 'operator':
          if (operand && text === '*') operand = false
          else {
            if (operand && text !== '+' && text !== '-' && this.#previous.kind !== 'operator') return null
            if (!operand) this.#operators++
            operand = true
          }
          break
        case 'prefix':
          if (!operand && !/^(?:not|when|then|else)$/.test(text)) return null
          operand = true
          break
        case ',':
          if (operand && this.#count > 1) return null
          this.#operators++
          operand = true
          break
        case 'union': {
          const found = this.#union()
          if (found !== undefined) return found
          return null
        }
        case 'select': {
          const inside = this.#previous.kind === '('
          if (!operand && !this.#mayStart()) return null
          if (!this.#selectable()) return null
          if (
            inside &&
            (this.#operators || this.#depth > 1 || this.#place === 'quote' || this.#clause !== '')
          )
            return this.#hit('subquery')
          if (!inside && this.#count > 1)
            return this.#hit(this.#afterSemicolon ? 'stacked statement' : 'second statement')
          this.#selected = true
          operand = true
          continue // #selectable has read on
        }
        case ';': {
          this.#afterSemicolon = true
          operand = true
          break
        }
        case 'statement': {
          const found = this.#second(operand)
          if (found === null) return null
          if (found !== undefined) return found
          operand = true
          continue
        }
        case 'clause': {
          const state = this.#clauses(operand)
          if (state === null || typeof state === 'object') return state
          operand = state
          continue
        }
        default:
          return null
      }
      this.#advance()
    }
  }

  /** Whether a statement may begin here without a semicolon: SQL Server needs none. */
  #mayStart(): boolean {
    if (this.#count === 1) return this.#place === 'quote' && this.#valueBefore
    return (
      this.#afterSemicolon ||
      this.#statement ||
      this.#operators > 0 ||
      (this.#place === 'quote' && this.#valueBefore)
    )
  }

  /** After UNION: a query must follow. */
  #union(): Hit | null | undefined {
    const at = this.#count
    let token = this.#advance()
    while (
      token.text === 'all' ||
      token.text === 'distinct' ||
      token.kind === '(' ||
      token.text === '-' ||
      token.text === '+'
    )
      token = this.#advance()
    if (token.kind === 'select') {
      return this.#selectable() ? this.#hit('union select') : null
    }
    if (/^selectchar$|^(?:table|values)$/.test(token.text) && this.#advance().kind !== 'end')
      return this.#hit('union select')
    const ends = token.kind === 'end' || token.kind === 'comment'
    if (ends && at > 1 && (this.#operators > 0 || token.kind === 'comment') && this.#first.kind !== 'word')
      return this.#hit('union')
    return null
  }

  /** Reads on after SELECT; whether what follows can be the first column of a query. */
  #selectable(): boolean {
    let token = this.#advance()
    while (
      /^(?:all|distinct|top|sql_\w+|not|binary|-|\+|!|~|case|straight_join)$/.test(token.text) ||
      token.kind === '('
    ) {
      if (token.kind === '(') this.#depth++
      const top = token.text === 'top'
      token = this.#advance()
      if (top && token.kind === 'number') token = this.#advance()
    }
    switch (token.kind) {
      case 'number':
      case 'variable':
      case 'string':
      case 'open':
      case 'select':
      case 'operator':
        return true
      case 'word': {
        if (/\.$/.test(token.text)) return true
        const word = token.text
        const next = new SqlTokenizer(this.#text, token.end).next()
        if (/^[,()=<>|+*/;-]/.test(next.text) || next.kind === 'comment' || next.kind === 'string')
          return true
        if (next.text === 'from' || next.text === 'as' || next.kind === 'operator' || next.kind === 'logic')
          return true
        return next.kind === 'end' && (CONSTANT.test(word) || this.#previous.kind !== 'word')
      }
      case 'statement':
      case 'clause':
        return /^(?:if|replace|left)$/.test(token.text)
      case 'other':
        return token.text === '.'
      default:
        return false
    }
  }

  /** A statement's first word: a finding when a statement really follows, undefined to read on, null to give up. */
  #second(operand: boolean): Hit | null | undefined {
    const word = this.#token.text
    // `replace(...)`, `if(...)` and the like are functions as well.
    if (operand && !this.#afterSemicolon && !this.#statement) {
      const next = this.#advance()
      if (next.kind === '(') {
        this.#token = next
        this.#called = true
        this.#depth++
        this.#advance()
        return undefined
      }
      if (this.#operators === 0 || this.#place === 'number') return null
    } else {
      if (!this.#mayStart()) return null
      this.#advance()
    }
    const { kind, text } = this.#token
    const named = kind === 'word' || kind === 'string' || kind === 'variable'
    switch (word) {
      case 'if':
      case 'while':
      case 'begin':
      case 'do':
        this.#statement = true
        if (word === 'begin' && /^(?:try|tran|transaction)$/.test(text)) this.#advance()
        return undefined
      case 'drop':
      case 'create':
      case 'alter':
        return OBJECT.test(text) && this.#advance().kind !== 'end' ? this.#hit('stacked statement') : null
      case 'truncate':
        return text === 'table' ? this.#hit('stacked statement') : null
      case 'insert':
      case 'merge':
      case 'replace':
        return text === 'into' && this.#advance().kind === 'word' ? this.#hit('stacked statement') : null
      case 'delete':
        return text === 'from' && this.#advance().kind === 'word' ? this.#hit('stacked statement') : null
      case 'update':
        return named && this.#advance().text === 'set' ? this.#hit('stacked statement') : null
      case 'waitfor':
        return /^(?:delay|time)$/.test(text) && /string|open|variable/.test(this.#advance().kind)
          ? this.#hit('delay')
          : null
      case 'exec':
      case 'execute':
        return kind === '(' || kind === 'variable' || (kind === 'word' && /[._]|immediate/.test(text))
          ? this.#hit('stacked statement')
          : null
      case 'declare':
        return kind === 'variable' || (kind === 'word' && this.#advance().kind === 'word')
          ? this.#hit('stacked statement')
          : null
      case 'shutdown':
        return kind === 'end' || kind === 'comment' || kind === ';' || text === 'with'
          ? this.#hit('stacked statement')
          : null
      case 'set':
        return kind === 'variable' ? this.#hit('stacked statement') : null
      case 'goto':
        return kind === 'word' && this.#place === 'quote' ? this.#hit('stacked statement') : null
      case 'copy':
        return kind === '(' || named
          ? /^(?:from|to|\()$/.test(this.#advance().text) || kind === '('
            ? this.#hit('stacked statement')
            : null
          : null
      case 'load':
        return text === 'data' ? this.#hit('stacked statement') : null
      case 'print':
        return kind === 'variable' || kind === 'string' ? this.#hit('stacked statement') : null
      case 'backup':
      case 'restore':
        return /^(?:database|log)$/.test(text) ? this.#hit('stacked statement') : null
      case 'bulk':
        return text === 'insert' ? this.#hit('stacked statement') : null
      case 'attach':
        return text === 'database' || kind === 'string' ? this.#hit('stacked statement') : null
      case 'grant':
      case 'revoke':
      case 'deny':
      case 'call':
      case 'dbcc':
      case 'handler':
        return named && /^(?:[(,]|on|open|read)/.test(this.#advance().text)
          ? this.#hit('stacked statement')
          : null
      default:
        return null
    }
  }

  /** A clause of SELECT: its state, a finding, or null to give up. */
  #clauses(operand: boolean): boolean | Hit | null {
    const word = this.#token.text
    if (operand && this.#count > 1 && word !== 'end') return null
    if (this.#count === 1 && this.#place === 'number') return null
    let next = this.#advance()
    switch (word) {
      case 'order':
      case 'group':
        if (next.text !== 'by') return null
        this.#clause = word
        this.#advance()
        return true
      case 'where':
      case 'having':
        this.#clause = word
        this.#logic = true
        this.#logicAt ||= this.#count
        return true
      case 'limit':
      case 'offset':
        if (next.kind !== 'number' && next.kind !== '(' && next.kind !== 'word') return null
        this.#clause = word
        return true
      case 'procedure':
        return next.text === 'analyse' ? this.#hit('procedure call') : null
      case 'into':
        return /^(?:outfile|dumpfile)$/.test(next.text) ? this.#hit('writing a file') : null
      case 'for':
        if (next.text !== 'update' && next.text !== 'xml') return null
        this.#advance()
        return false
      case 'as':
        if (next.kind !== 'word' && next.kind !== 'string') return null
        next = this.#advance()
        return false
      case 'from':
      case 'join':
      case 'using':
      case 'on':
        if (!this.#selected) return null
        return true
      case 'end':
      case 'asc':
      case 'desc':
        return this.#clause !== '' || this.#depth > 0 ? false : null
      default:
        return null
    }
  }

  /** The text is at its end, or in a comment or a string that reaches it: was it a shape? */
  #finish(how: 'end' | 'comment' | 'open', operand = false): Hit | null {
    const quote = this.#place === 'quote'
    const trailing =
      how === 'comment' ? this.#text.slice(this.#token.start).replace(/^(?:--|#|\/\*)[\s+-]*/, '') : ''
    // A sentence may go on after what looked like a comment.
    if (/\S\s+\S+\s+\S/.test(trailing) && !this.#selected) return null
    if (quote && !this.#valueBefore) return null
    const out = quote || this.#closedBefore
    const complete = !operand || how === 'open'
    if (this.#clause === 'order' || this.#clause === 'group') {
      if (complete && (how === 'comment' || quote) && (out || this.#first.kind === 'number'))
        return this.#hit('ordering probe')
    }
    if (this.#logic && (complete || how === 'comment')) {
      const direct = out || (this.#first.kind !== 'word' && this.#first.kind !== '(' && this.#logicAt <= 4)
      const leading = this.#logicAt === 1 || this.#first.kind === 'prefix'
      if (how === 'open' && operand && quote && this.#operators === 1 && !this.#compared) {
        // `' OR '`: short on both sides, or it is a list in some program.
        return this.#text.length < 40 ? this.#hit('boolean condition') : null
      }
      if ((direct || leading) && this.#compared) return this.#hit('boolean condition')
      if (out && (this.#called || how !== 'end')) return this.#hit('boolean condition')
      if ((direct || leading) && this.#probed) return this.#hit('boolean condition')
      if (this.#called && this.#compared && this.#probed) return this.#hit('boolean condition')
      if (how === 'comment' && this.#first.kind === '(') return this.#hit('boolean condition')
      if (this.#clause === 'having' && this.#first.kind !== '(') return this.#hit('boolean condition')
    }
    if (how === 'comment') {
      if (out && this.#operators === 0 && trailing.length < 8) return this.#hit('comment that cuts the query')
      if (this.#first.kind === '(' && (this.#probed || this.#selected))
        return this.#hit('expression with a comment')
      if (out && (this.#compared || this.#called)) return this.#hit('condition with a comment')
    }
    if (
      how === 'open' &&
      quote &&
      operand &&
      this.#operators === 1 &&
      this.#compared &&
      !this.#called &&
      this.#text.length < 40
    ) {
      const word = this.#previous.text
      if (/^(?:r?like|regexp|binary)$/.test(word) && this.#text.length < 24)
        return this.#hit('boolean condition')
    }
    if (out && this.#called && this.#probed && this.#operators > 0) return this.#hit('function call')
    return null
  }
}

/** Looks at one form of the text. */
export function findSql(text: string): Hit | null {
  const number = new Reading(text, 0, 'number', true).read()
  if (number) return number
  for (const quote of ["'", '"']) {
    const at = text.indexOf(quote)
    if (at < 0) continue
    const found = new Reading(
      text,
      at + 1,
      'quote',
      !CODE_BEFORE.test(text.slice(Math.max(0, at - 60), at)),
    ).read()
    if (found) return found
    if (text[at - 1] === '\\') {
      // Where the application escapes quotes, the one after it closes.
      const later = text.indexOf(quote, at + 1)
      if (later >= 0 && text[later - 1] !== '\\') {
        const second = new Reading(text, later + 1, 'quote', true).read()
        if (second) return second
      }
    }
  }
  return null
}

/** Finds SQL injection in any form of the text. */
export function detectSqlInjection(text: string): Finding | null {
  return findInForms(text, findSql)
}
