// The validators speak Standard Schema; the interface itself is everybody's (core/standardSchema.ts).

export * from '../core/standardSchema.ts'

/** The keys in a path such as `.users[2].mail`; names with dots or brackets in them come apart. */
export function pathOf(text: string): (string | number)[] {
  return [...text.matchAll(/\.([^.[]*)|\[(\d+)\]/g)].map(([, name, index]) => name ?? Number(index))
}
