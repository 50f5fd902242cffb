// Objects from outside: no keys that reach prototypes, no depth that breaks a recursion. Walks without recursing.

import type { Problem } from './problem.ts'

/** Whether assigning under this key can reach a prototype. */
export function isDangerousKey(key: string): boolean {
  return key === '__proto__' || key === 'constructor' || key === 'prototype'
}

interface Entry {
  readonly value: object
  readonly depth: number
  readonly path: string
  /** Set when all that is below has been walked. */
  readonly leaving: boolean
}

/** Depth, keys and cycles of a value; shared parts are walked once. `maxDepth` counts the value itself as 1. */
export function checkShape(value: object, maxDepth: number): Problem | null {
  const path = new Set<object>()
  const done = new Set<object>()
  const stack: Entry[] = [{ value, depth: 1, path: '', leaving: false }]
  for (let entry = stack.pop(); entry; entry = stack.pop()) {
    if (entry.leaving) {
      path.delete(entry.value)
      done.add(entry.value)
      continue
    }
    if (entry.depth > maxDepth) {
      return { rule: 'depth', message: `too deep: maximum ${maxDepth} levels`, path: entry.path }
    }
    if (path.has(entry.value))
      return { rule: 'depth', message: 'too deep: it contains itself', path: entry.path }
    if (done.has(entry.value)) continue
    path.add(entry.value)
    stack.push({ ...entry, leaving: true })
    for (const key of Reflect.ownKeys(entry.value)) {
      if (typeof key !== 'string') continue
      const isArray = Array.isArray(entry.value)
      if (!isArray && isDangerousKey(key)) {
        return { rule: 'dangerousKeys', message: 'dangerous keys that reach prototypes', path: entry.path }
      }
      const below = Object.getOwnPropertyDescriptor(entry.value, key)?.value as unknown
      if (typeof below !== 'object' || below === null || ArrayBuffer.isView(below)) continue
      stack.push({
        value: below,
        depth: entry.depth + 1,
        path: `${entry.path}${isArray ? `[${key}]` : `.${key}`}`,
        leaving: false,
      })
    }
  }
  return null
}

/** Whether this is an object in the sense of JSON: no array, no function, not null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
