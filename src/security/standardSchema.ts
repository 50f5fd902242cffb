// The validators speak Standard Schema; the interface itself is everybody's (core/standardSchema.ts).

export * from '../core/standardSchema.ts'
