// One reading of a text as the rest of an SQL expression: follows the grammar as far as it goes, token by token, and each
// kind of token has a room of its own that says what it means. Text that stops being SQL before a shape is complete is text.

import type { Hit } from '../finding.ts'
import { readClause } from './clauses.ts'
import { type Place, SqlCursor, type Step } from './cursor.ts'
import {
  readClosing,
  readNumber,
  readOpen,
  readOpening,
  readString,
  readVariable,
  readWord,
} from './operands.ts'
import { readComma, readComparison, readLogic, readOperator, readPrefix } from './operators.ts'
import { readSelect, readSemicolon, readStatement, readUnion } from './queries.ts'
import type { Kind } from './tokenizer.ts'
import { finish } from './verdict.ts'

const READ: Readonly<Record<Kind, (cursor: SqlCursor) => Step>> = {
  end: (cursor) => finish(cursor, 'end'),
  comment: (cursor) => finish(cursor, 'comment'),
  open: readOpen,
  number: readNumber,
  string: readString,
  variable: readVariable,
  word: readWord,
  '(': readOpening,
  ')': readClosing,
  logic: readLogic,
  compare: readComparison,
  operator: readOperator,
  prefix: readPrefix,
  ',': readComma,
  union: readUnion,
  select: readSelect,
  ';': readSemicolon,
  statement: readStatement,
  clause: readClause,
  other: () => null,
}

/**
 * The shape found in a text, or null where the reading ends without one.
 * @param start behind the quote when `place` is 'quote'
 * @param valueBefore whether what stands before is the sort of text that values are
 */
export function readSql(text: string, start: number, place: Place, valueBefore: boolean): Hit | null {
  const cursor = new SqlCursor(text, start, place, valueBefore)
  for (;;) {
    const step = READ[cursor.token.kind](cursor)
    if (step !== undefined) return step
    cursor.advance()
  }
}
