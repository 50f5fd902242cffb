// The clauses of a query, by their first word: ORDER BY, WHERE, LIMIT, INTO and the others.

import type { SqlCursor, Step } from './cursor.ts'
import type { Token } from './tokenizer.ts'

/** Reads one clause's beginning. The token at hand is its first word, `next` the one behind it. */
type Read = (cursor: SqlCursor, next: Token) => Step

/** Whether an operand must come next. */
function goOn(cursor: SqlCursor, operand: boolean): undefined {
  cursor.operand = operand
  return undefined
}

/** Where the notation is not the one we know: between parentheses it may be a dialect's. */
function unknown(cursor: SqlCursor): Step {
  return cursor.strict ? null : goOn(cursor, false)
}

const sorting: Read = (cursor, next) => {
  if (next.text !== 'by') return unknown(cursor)
  cursor.clause = cursor.token.text
  cursor.advance()
  return goOn(cursor, true)
}

const filtering: Read = (cursor, next) => {
  const { text } = cursor.token
  cursor.clause = text
  cursor.logicAt ||= cursor.count + 1
  const bare =
    text === 'having' ? next.kind !== 'word' : cursor.first.kind === 'clause' && next.kind === 'number'
  if (bare) cursor.literal = true
  return goOn(cursor, true)
}

const limiting: Read = (cursor, next) => {
  if (cursor.strict && next.kind !== 'number' && next.kind !== '(' && next.kind !== 'word') return null
  cursor.clause = cursor.token.text
  return goOn(cursor, true)
}

const naming: Read = (cursor) => (cursor.selected || cursor.out || !cursor.strict ? goOn(cursor, true) : null)

const order: Read = (cursor) => goOn(cursor, false)

const READ: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['order', sorting],
  ['group', sorting],
  ['where', filtering],
  ['having', filtering],
  ['limit', limiting],
  ['offset', limiting],
  ['from', naming],
  ['join', naming],
  ['using', naming],
  ['on', naming],
  ['asc', order],
  ['desc', order],
  [
    'procedure',
    (cursor, next) => {
      if (next.text !== 'analyse') return null
      cursor.advance()
      return cursor.hit('procedure call')
    },
  ],
  [
    'into',
    (cursor, next) => {
      if (cursor.valueBefore && /^(?:outfile|dumpfile)$/.test(next.text)) {
        cursor.advance()
        return cursor.hit('writing a file')
      }
      return cursor.strict ? null : goOn(cursor, true)
    },
  ],
  [
    'for',
    (cursor, next) => {
      if (cursor.strict && !/^(?:update|xml|json|share|browse)$/.test(next.text)) return null
      cursor.advance()
      return goOn(cursor, false)
    },
  ],
  [
    'as',
    (cursor, next) => {
      if (next.kind !== 'word' && next.kind !== 'string') return null
      cursor.advance()
      return goOn(cursor, false)
    },
  ],
  [
    'with',
    (cursor, next) => {
      if (next.text !== 'rollup' && next.text !== 'ties') return unknown(cursor)
      cursor.advance()
      return goOn(cursor, false)
    },
  ],
  [
    'lock',
    (cursor, next) => {
      if (next.text !== 'in') return unknown(cursor)
      for (let word = 0; word < 3; word++) cursor.advance() // IN SHARE MODE
      return goOn(cursor, false)
    },
  ],
  [
    'end',
    (cursor) => {
      cursor.ended = cursor.case
      return cursor.clause !== '' || cursor.case || !cursor.strict ? goOn(cursor, false) : null
    },
  ],
])

/** A clause may begin a text only where a value was expected before it. */
const MAY_BEGIN = /^(?:asc|desc|having|where|order|group)$/

export function readClause(cursor: SqlCursor): Step {
  const { operand, isFirst, place } = cursor
  if (operand && cursor.isCall()) return undefined
  const word = cursor.token.text
  if (cursor.strict) {
    if (operand && !isFirst && word !== 'end') return null
    if (isFirst && place === 'number' && !MAY_BEGIN.test(word)) return null
  }
  return (READ.get(word) ?? unknown)(cursor, cursor.peek())
}
