// Numbers, strings, variables, names, and parentheses around operands.

import type { SqlCursor, Step } from './cursor.ts'
import { CONSTANT, HARMFUL, OBJECTS, PROBING, SURE_COLUMNS, SYSTEM } from './shapes.ts'
import { finish } from './verdict.ts'

/** A string that never ends: the query's own quote will close it. */
export function readOpen(cursor: SqlCursor): Step {
  const { operand, previous, isFirst, strict } = cursor
  return operand || previous.kind === 'string' || isFirst || !strict ? finish(cursor, 'open') : null
}

export function readNumber(cursor: SqlCursor): Step {
  if (cursor.strict && !cursor.operand) return null
  cursor.operand = false
  return undefined
}

export function readString(cursor: SqlCursor): Step {
  if (cursor.strict && !cursor.operand && !mayAdjoin(cursor)) return null
  cursor.worded = true
  cursor.operand = false
  return undefined
}

export function readVariable(cursor: SqlCursor): Step {
  if (cursor.strict && !cursor.operand) return null
  const { text } = cursor.token
  if (/^@@..|^\\n/.test(text) && !cursor.isFirst && (cursor.operators || cursor.selected)) {
    if (text[0] === '@') return cursor.hit('system variable')
    cursor.constant = true
  }
  cursor.operand = false
  return undefined
}

export function readWord(cursor: SqlCursor): Step {
  const { text } = cursor.token
  cursor.worded = true
  // No statement begins with such a word: it is some program's, or the next sentence.
  if (
    cursor.previous.kind === ';' &&
    cursor.strict &&
    !cursor.isCall() &&
    /^(?:word|statement)$/.test(cursor.peek().kind)
  ) {
    return null
  }
  if (cursor.operand) {
    if (CONSTANT.test(text)) cursor.constant = true
    if (cursor.operators && cursor.valueBefore && cursor.left && SYSTEM.test(text)) {
      return cursor.hit('probing name')
    }
    if (text === 'boolean' && cursor.previous.text === 'in' && cursor.advance().text !== 'mode') return null
  } else if (cursor.strict && !mayFollow(cursor)) return null
  cursor.operand = false
  return undefined
}

export function readOpening(cursor: SqlCursor): Step {
  const { operand, previous, isFirst } = cursor
  const called = !isFirst && cursor.afterName && (previous.kind === 'word' || operand)
  if (cursor.strict && !operand && !called && !holdsQuery(cursor)) return null
  if (called) {
    const name = previous.text
    cursor.called = true
    if (PROBING.test(name)) cursor.probed = true
    if (
      HARMFUL.test(name) &&
      cursor.count > 2 &&
      (cursor.left || !OBJECTS.test(name)) &&
      (cursor.operators || cursor.clause || cursor.statement || cursor.statementDue || cursor.selected)
    ) {
      return cursor.hit('probing function')
    }
  }
  cursor.depth++
  cursor.operand = true
  return undefined
}

export function readClosing(cursor: SqlCursor): Step {
  if (cursor.strict) {
    if (cursor.operand && !cursor.isFirst && cursor.previous.kind !== 'operator') return null
    cursor.closedBefore = true
  } else cursor.depth--
  cursor.operand = false
  return undefined
}

/** Whether a word may stand here although no operand is due: as an alias, or as the call of a function that harms. */
function mayFollow(cursor: SqlCursor): boolean {
  const { kind, text } = cursor.previous
  if (text === 'as') return true
  if ((kind === 'word' || kind === ')') && cursor.selected) return true
  if (cursor.first.kind !== 'number' && cursor.place === 'number') return false
  if (!HARMFUL.test(cursor.token.text) || !cursor.isCall()) return false
  cursor.operators++
  return true
}

/** Whether a string may stand here although no operand is due: strings join, and character sets introduce them. */
function mayAdjoin({ previous: { kind, text }, isFirst }: SqlCursor): boolean {
  return isFirst || kind === 'string' || (kind === 'word' && /^(?:_|date|time|array)/.test(text))
}

/** Whether the parenthesis at hand holds a query. */
function holdsQuery(cursor: SqlCursor): boolean {
  const ahead = cursor.ahead(cursor.token.end, 7)
  return ahead.startsWith('select ') && SURE_COLUMNS.test(ahead.slice(7))
}
