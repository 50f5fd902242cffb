// The text is at its end, or in a comment or a string that reaches it: was what has been read a shape of an attack?

import type { Hit } from '../finding.ts'
import type { SqlCursor } from './cursor.ts'
import { HARMFUL } from './shapes.ts'

/** How a reading ends: with the text, in a comment, or in a string that the query's own quote will close. */
export type End = 'end' | 'comment' | 'open'

/** What the judges below look at. */
interface Finished {
  readonly cursor: SqlCursor
  readonly end: End
  readonly quote: boolean
  /** Whether nothing is missing at the end. */
  readonly complete: boolean
  /** Whether the first token could be a value: neither a name nor a bracket. */
  readonly bare: boolean
  /** What the comment says. */
  readonly trailing: string
}

/** The shape that has been read, or null. */
export function finish(cursor: SqlCursor, end: End): Hit | null {
  const quote = cursor.place === 'quote'
  if (quote && !cursor.valueBefore) return null
  const { kind, start } = cursor.first
  const trailing =
    end === 'comment' ? cursor.text.slice(cursor.token.start).replace(/^(?:--|#|\/\*)[\s+-]*/, '') : ''
  const finished: Finished = {
    cursor,
    end,
    quote,
    complete: !cursor.operand || end === 'open' || cursor.previous.kind === ';',
    bare: kind !== 'word' && kind !== 'clause' && kind !== '(' && cursor.text[start] !== '[',
    trailing,
  }
  if (goesOnAsSentence(finished)) return null
  if (isOpenLogic(finished)) {
    // `' OR '`: short on both sides, or it is a list in some program.
    return cursor.text.length < 40 ? cursor.hit('boolean condition') : null
  }
  for (const judge of JUDGES) {
    const reason = judge(finished)
    if (reason !== '') return cursor.hit(reason)
  }
  return null
}

/** A sentence may go on after what looked like a comment. */
function goesOnAsSentence({ cursor, quote, trailing }: Finished): boolean {
  if (!/\S\s+\S+\s+\S/.test(trailing) || cursor.selected) return false
  return !(cursor.logicAt > 0 && cursor.compared && (quote || cursor.literal))
}

/** Whether the text ends in a quote behind its only operator, AND or OR. */
function isOpenLogic({ cursor, end, quote }: Finished): boolean {
  return (
    end === 'open' &&
    quote &&
    cursor.operand &&
    cursor.logicAt > 0 &&
    cursor.operators === 1 &&
    !cursor.compared &&
    ordering({ cursor, end, quote, complete: true, bare: false, trailing: '' }) === ''
  )
}

type Judge = (finished: Finished) => string

const ordering: Judge = ({ cursor, end, quote, complete }) => {
  if ((cursor.clause !== 'order' && cursor.clause !== 'group') || !complete) return ''
  const { kind } = cursor.first
  const ends = end === 'comment' || quote || cursor.previous.kind === 'number'
  const begins = cursor.out || kind === 'number' || (kind === 'clause' && end === 'comment')
  return ends && begins ? 'ordering probe' : ''
}

const condition: Judge = (finished) => {
  const { cursor, end, quote, complete, trailing } = finished
  if (cursor.logicAt === 0 || !(complete || end === 'comment')) return ''
  const { first, compared, probed, called, constant } = cursor
  const direct = isDirect(finished)
  const holds =
    (direct && (compared || probed || (constant && (quote || end === 'comment')))) ||
    (direct && end === 'comment' && trailing.length < 3) ||
    (cursor.out && (quote || first.kind !== 'word') && (called || end !== 'end')) ||
    (called && compared && probed && !/^(?:if|while)$/.test(first.text)) ||
    (end === 'comment' && first.kind === '(') ||
    (cursor.literal && cursor.clause === 'having')
  return holds ? 'boolean condition' : ''
}

/** Whether the condition stands right behind a value. */
function isDirect({ cursor, bare }: Finished): boolean {
  const { first, logicAt } = cursor
  const wordy = /^\w/.test(first.text)
  return (
    cursor.out ||
    (bare && logicAt > 1 && logicAt <= 5) ||
    (first.kind === 'prefix' && wordy) ||
    cursor.literal ||
    (logicAt === 1 && (cursor.probed || (cursor.constant && wordy)))
  )
}

const comment: Judge = ({ cursor, end, quote, bare, trailing }) => {
  if (end !== 'comment') return ''
  const { first, out, called, compared } = cursor
  if (out && cursor.operators === 0 && (quote ? cutsOff(trailing) : trailing.length < 8)) {
    return 'comment that cuts the query'
  }
  if (HARMFUL.test(first.text) && called && trailing.length < 3) return 'probing function'
  if (cursor.clause !== '' && bare && trailing.length < 3) return 'clause with a comment'
  if (first.kind === '(' && (cursor.probed || cursor.selected || (compared && trailing === ''))) {
    return 'expression with a comment'
  }
  return out && (compared || called) ? 'condition with a comment' : ''
}

/** Whether the comment right behind a quote cuts a query off, as opposed to `'#name'` or a dash after a quotation. */
function cutsOff(trailing: string): boolean {
  if (/["'\s]/.test(trailing)) return false
  return trailing.length < 8 ? !/^[a-z]{4}/i.test(trailing) : trailing.length < 17 && /^\W/.test(trailing)
}

/** `'-'`, `'^'`: two empty strings and an operator make 0, which equals every text that is no number. */
const emptySides: Judge = ({ cursor, end, quote }) =>
  end === 'open' &&
  quote &&
  cursor.count === 2 &&
  cursor.previous.kind === 'operator' &&
  cursor.text.length <= 4 &&
  cursor.text.endsWith(cursor.text[0] as string) &&
  cursor.previous.text !== '+'
    ? 'arithmetic on empty strings'
    : ''

/** The query's own quote opens an operand: the text has an expression on both sides of it. */
const openOperand: Judge = ({ cursor, end, quote }) => {
  if (end !== 'open' || !quote || !cursor.operand) return ''
  if (!cursor.compared && !cursor.case && cursor.worded) return ''
  const rest = cursor.text.slice(cursor.token.start)
  if (rest.length >= 14 || /[,:;()[\]{}]/.test(rest)) return ''
  const several = cursor.operators > 1 && cursor.count > 3
  const alone = cursor.compared && !cursor.called && cursor.text.length < 24 && !isQuotedWord(cursor)
  return several || alone ? 'boolean condition' : ''
}

/** Whether the first token is a word right behind the quote: `'match'` is the name of something. */
function isQuotedWord({ text, start, previous }: SqlCursor): boolean {
  return /\w/.test(text[start] ?? '') && !/^(?:r?like|regexp)$/.test(previous.text)
}

const conditional: Judge = ({ cursor, quote, complete }) =>
  cursor.ended && cursor.compared && complete && !quote && cursor.first.kind !== 'word'
    ? 'conditional expression'
    : ''

const call: Judge = ({ cursor }) =>
  cursor.out && cursor.called && cursor.probed && cursor.operators > 0 ? 'function call' : ''

const JUDGES: readonly Judge[] = [ordering, condition, comment, emptySides, openOperand, conditional, call]
