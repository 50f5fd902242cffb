// What joins operands: AND and OR, comparisons, arithmetic, signs before an operand, commas.

import type { SqlCursor, Step } from './cursor.ts'

export function readLogic(cursor: SqlCursor): Step {
  if (cursor.strict && cursor.operand && !cursor.isFirst) return null
  cursor.operand = true
  if (cursor.between && cursor.token.text === 'and') {
    cursor.between = false
    return undefined
  }
  cursor.logicAt ||= cursor.count
  cursor.operators++
  return undefined
}

export function readComparison(cursor: SqlCursor): Step {
  const { operand, previous, token } = cursor
  if (operand && cursor.isCall()) return undefined
  const mayCome = previous.kind === 'prefix' || (previous.kind === 'compare' && previous.text !== 'is')
  if (cursor.strict && operand && !mayCome) return null
  cursor.between = token.text === 'between'
  cursor.compared = true
  if (cursor.afterLogic && (previous.kind === 'number' || previous.kind === 'string')) cursor.literal = true
  cursor.operators++
  cursor.operand = token.text !== 'isnull' && token.text !== 'notnull'
  return undefined
}

export function readOperator(cursor: SqlCursor): Step {
  const { operand, previous, token } = cursor
  if (operand && token.text === '*') {
    cursor.operand = false
    return undefined
  }
  const isSign = token.text === '+' || token.text === '-'
  if (cursor.strict && operand && !isSign && previous.kind !== 'operator') return null
  if (!operand) cursor.operators++
  cursor.operand = true
  return undefined
}

export function readPrefix(cursor: SqlCursor): Step {
  const { operand, token } = cursor
  if (token.text === '~' && !operand) cursor.compared = true
  else if (token.text === 'case') cursor.case = true
  else if (cursor.strict && !operand && !/^(?:not|when|then|else)$/.test(token.text)) return null
  cursor.operand = true
  return undefined
}

export function readComma(cursor: SqlCursor): Step {
  if (cursor.strict && cursor.operand && !cursor.isFirst) return null
  cursor.operators++
  cursor.operand = true
  return undefined
}
