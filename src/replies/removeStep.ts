// What the removal of a log comes to: it goes, unless others were forked from it; then it is kept
// out of sight until they are gone. Pure.

import type { LogWrite, StepResult } from './LogStore.ts'
import { hasExpired, type LogHead } from './log.ts'

export type RemoveResult =
  | { readonly kind: 'removed'; readonly paths: readonly string[] }
  | { readonly kind: 'missing' }
  /** It was removed before, and still has forks. */
  | { readonly kind: 'gone' }

/**
 * @param heads the log's, that of its source, of the source's source, and so on
 * @param expired whether it goes because its time is over
 */
export function removeStep(
  heads: readonly (LogHead | undefined)[],
  now: number,
  expired: boolean,
): StepResult<RemoveResult> {
  const [head] = heads
  if (!head || (hasExpired(head, now) !== expired && !head.removed))
    return { result: { kind: 'missing' }, writes: [] }
  if (head.removed) return { result: { kind: 'gone' }, writes: [] }
  const paths = [head.path]
  if (head.forks > 0) {
    const hidden: LogWrite[] = [
      { kind: 'put', head: { ...head, removed: true } },
      { kind: 'remove', path: head.path, head: false },
    ]
    return { result: { kind: 'removed', paths }, writes: hidden }
  }
  const writes: LogWrite[] = [{ kind: 'remove', path: head.path, head: true }]
  let fork = head
  for (const source of heads.slice(1)) {
    // A later log at the same path is none of its business.
    if (!source || source.id !== fork.forkedFrom?.id) break
    const forks = source.forks - 1
    if (forks > 0 || !source.removed) {
      writes.push({ kind: 'put', head: { ...source, forks } })
      break
    }
    writes.push({ kind: 'remove', path: source.path, head: true })
    paths.push(source.path)
    fork = source
  }
  return { result: { kind: 'removed', paths }, writes }
}
