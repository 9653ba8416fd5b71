// What `Math` lacks or has otherwise than Python, for the programs that `javascript.py` prints; each has those that it calls.

// As C has it: a square is rounded once, 1 to any power is 1, and so is -1 to an infinite one.
function pow(x, y) {
  if (y === 2) return x * x;
  return x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : Math.pow(x, y);
}

// Of the sign of y, as in Python.
function mod(x, y) {
  const r = x % y;
  if (r === 0) return y > 0 ? 0 : -0;
  return r < 0 !== y < 0 ? r + y : r;
}

function floordiv(x, y) {
  if (y === 0) return x / y;
  const r = x % y, exact = (x - r) / y;
  const q = r !== 0 && r < 0 !== y < 0 ? exact - 1 : exact;
  if (q === 0) return x / y < 0 || Object.is(x / y, -0) ? -0 : 0;
  return q - Math.floor(q) > 0.5 ? Math.floor(q) + 1 : Math.floor(q);
}

// The root of a sum of squares, rounded once: the squares and their sum in two parts each, then a step of Newton's.
function hypot(...xs) {
  const sizes = xs.map(Math.abs);
  if (sizes.includes(Infinity)) return Infinity;
  const largest = sizes.reduce((most, x) => (x > most || Number.isNaN(x) ? x : most), 0);
  if (!(largest > 0)) return largest;
  const exponent = Math.max(-1022, Math.floor(Math.log2(largest)));
  const up = 2 ** Math.floor(-exponent / 2), rest = 2 ** (-exponent - Math.floor(-exponent / 2));
  let high = 0, low = 0;
  const add = (square, error) => {
    const sum = high + square, part = sum - high;
    low += high - (sum - part) + (square - part) + error;
    high = sum;
  };
  const halves = (x) => {
    const far = 134217729 * x, top = far - (far - x);
    return [top, x - top];
  };
  const subtractSquare = (x, sign) => {
    const [top, end] = halves(x), square = x * x;
    add(sign * square, sign * (top * top - square + 2 * top * end + end * end));
  };
  for (const x of sizes) subtractSquare(x * up * rest, 1);
  const root = Math.sqrt(high + low);
  subtractSquare(root, -1);
  return (root + (high + low) / (2 * root)) / rest / up;
}

// erf and erfc by fdlibm's rational functions (Sun Microsystems, 1993): near 0, near 1, and two ranges further out.
function errorPart(x, complement) {
  const polynomial = (coefficients, t) => coefficients.reduceRight((sum, c) => sum * t + c);
  const size = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (size < 0.84375) {
    const z = x * x;
    const q = polynomial([1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
      -5.77027029648944159157e-03, -2.37630166566501626084e-05], z) / polynomial([1, 3.97917223959155352819e-01,
      6.50222499887672944485e-02, 5.08130628187576562776e-03, 1.32494738004321644526e-04, -3.96022827877536812320e-06], z);
    if (!complement) return size < 2 ** -28 ? x + 1.28379167095512586316e-01 * x : x + x * q;
    return x < 0.25 ? 1 - (x + x * q) : 0.5 - (x - 0.5 + x * q);
  }
  if (size < 1.25) {
    const s = size - 1, one = 8.45062911510467529297e-01;
    const q = polynomial([-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
      3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02, -2.16637559486879084300e-03], s) /
      polynomial([1, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
      1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02], s);
    if (complement) return x > 0 ? 1 - one - q : 1 + (one + q);
    return x > 0 ? one + q : -one - q;
  }
  if (size >= (complement ? 28 : 6)) return complement ? (x > 0 ? 0 : 2) : Math.sign(x);
  const s = 1 / (size * size);
  const [top, bottom] = size < 1 / 0.35
    ? [[-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01, -6.23753324503260060396e01,
        -1.62396669462573470355e02, -1.84605092906711035994e02, -8.12874355063065934246e01, -9.81432934416914548592],
       [1, 1.96512716674392571292e01, 1.37657754143519042600e02, 4.34565877475229228821e02, 6.45387271733267880336e02,
        4.29008140027567833386e02, 1.08635005541779435134e02, 6.57024977031928170135, -6.04244152148580987438e-02]]
    : [[-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01, -1.60636384855821916062e02,
        -6.37566443368389627722e02, -1.02509513161107724954e03, -4.83519191608651397019e02],
       [1, 3.03380607434824582924e01, 3.25792512996573918826e02, 1.53672958608443695994e03, 3.19985821950859553908e03,
        2.55305040643316442583e03, 4.74528541206955367215e02, -2.24409524465858183362e01]];
  const short = new Float64Array([size]);
  new Uint32Array(short.buffer)[0] = 0; // its square is exact
  const z = short[0];
  const tail = (Math.exp(-z * z - 0.5625) * Math.exp((z - size) * (z + size) + polynomial(top, s) / polynomial(bottom, s))) / size;
  if (complement) return x > 0 ? tail : 2 - tail;
  return x > 0 ? 1 - tail : tail - 1;
}
