// Queries and statements that a text adds: UNION, SELECT, and what follows a semicolon.

import type { Hit } from '../finding.ts'
import type { SqlCursor, Step } from './cursor.ts'
import {
  AFTER_SEMICOLON,
  COLUMNS,
  LOOSE_STATEMENT,
  STATEMENT,
  SURE_COLUMNS,
  SURE_STATEMENT,
  WHOLE_STATEMENT,
} from './shapes.ts'

/** After UNION a query must follow. */
export function readUnion(cursor: SqlCursor): Hit | null {
  const { count } = cursor
  const ahead = cursor.ahead(cursor.token.end, 9).replace(/^(?:(?:all|distinct\w*|[-+(]) )+/, '')
  if (
    ahead.startsWith('select ')
      ? COLUMNS.test(ahead.slice(7)) || (cursor.left && /^select \S+ (?:as )?\S+ [$#]/.test(ahead))
      : /^selectchar|^(?:table|values) [^$]/.test(ahead)
  ) {
    return cursor.hit('union select')
  }
  // The rest of the query may go on where the text ends; but a sentence may end so too.
  if (cursor.operand || !(cursor.left || cursor.first.kind === 'variable')) return null
  const cut = ahead === '#'
  if ((cut || ahead === '$') && (count > 2 || (count > 1 && cut))) {
    return cursor.hit('union')
  }
  return null
}

export function readSelect(cursor: SqlCursor): Step {
  const { operand, previous, isFirst, afterSemicolon, statement } = cursor
  if (!operand && !cursor.mayStart()) return null
  const due = isFirst || !operand || previous.kind === '(' || afterSemicolon || statement
  if (isQuery(cursor, !due || cursor.doubtful)) {
    if (previous.kind === '(') {
      if (
        cursor.operators ||
        cursor.depth > 1 ||
        cursor.place === 'quote' ||
        cursor.clause !== '' ||
        isQuery(cursor, true)
      ) {
        return cursor.hit('subquery')
      }
    } else if (!isFirst || cursor.place === 'quote') return cursor.hit('stacked statement')
  } else if (cursor.strict) return null
  cursor.selected = true
  cursor.operand = true
  return undefined
}

/** Whether SELECT, the token at hand, begins a query. */
function isQuery(cursor: SqlCursor, doubtful: boolean): boolean {
  return (doubtful ? SURE_COLUMNS : COLUMNS).test(cursor.ahead(cursor.token.end, 9))
}

export function readSemicolon(cursor: SqlCursor): Step {
  cursor.afterSemicolon = true
  cursor.operand = true
  return cursor.statementDue && AFTER_SEMICOLON.test(cursor.ahead(cursor.token.end, 5))
    ? cursor.hit('stacked statement')
    : undefined
}

export function readStatement(cursor: SqlCursor): Step {
  const { operand, afterSemicolon, statement } = cursor
  const amid = operand && !afterSemicolon && !statement
  if (amid && cursor.isCall()) return undefined
  const ahead = cursor.ahead(cursor.token.start, 6)
  if (SURE_STATEMENT.test(ahead)) return cursor.hit('stacked statement')
  if (!cursor.mayStart() || amid) return null
  if (
    (cursor.doubtful ? WHOLE_STATEMENT : STATEMENT).test(ahead) ||
    (cursor.statementDue && LOOSE_STATEMENT.test(ahead))
  ) {
    return cursor.hit('stacked statement')
  }
  if (!/^(?:if|while|begin|do) /.test(ahead) || !(afterSemicolon || statement || cursor.out)) return null
  cursor.statement = true
  if (/^begin (?:try|tran)/.test(ahead)) cursor.advance()
  cursor.operand = true
  return undefined
}
