// AdamW on four floats at a time. Lengths are multiples of 4; addresses are in bytes.

export function adamWUpdate(
  weights: usize,
  gradient: usize,
  first: usize,
  second: usize,
  length: i32,
  beta1: f32,
  fresh1: f32,
  beta2: f32,
  fresh2: f32,
  keep: f32,
  stepSize: f32,
  rootCorrection: f32,
  epsilon: f32,
  gradientScale: f32,
): void {
  const beta1s = f32x4.splat(beta1)
  const fresh1s = f32x4.splat(fresh1)
  const beta2s = f32x4.splat(beta2)
  const fresh2s = f32x4.splat(fresh2)
  const keeps = f32x4.splat(keep)
  const stepSizes = f32x4.splat(stepSize)
  const rootCorrections = f32x4.splat(rootCorrection)
  const epsilons = f32x4.splat(epsilon)
  const scales = f32x4.splat(gradientScale)
  const end = weights + ((<usize>length) << 2)
  while (weights < end) {
    const g = f32x4.mul(v128.load(gradient), scales)
    const m = f32x4.add(f32x4.mul(v128.load(first), beta1s), f32x4.mul(g, fresh1s))
    const v = f32x4.add(f32x4.mul(v128.load(second), beta2s), f32x4.mul(f32x4.mul(g, g), fresh2s))
    v128.store(first, m)
    v128.store(second, v)
    const root = f32x4.add(f32x4.mul(f32x4.sqrt(v), rootCorrections), epsilons)
    v128.store(weights, f32x4.sub(f32x4.mul(v128.load(weights), keeps), f32x4.div(f32x4.mul(stepSizes, m), root)))
    weights += 16
    gradient += 16
    first += 16
    second += 16
  }
}
