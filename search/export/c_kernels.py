"""C code of the operators of an int8 network: the integer arithmetic of tflite-micro's reference kernels.

The code is C99 without a library besides <stdint.h>, and also compiles as C++. Maps are (height, width, channels).
"""

ARITHMETIC = """\
typedef struct { int height, width, channels; } map_size;
typedef struct { int height, width, stride_y, stride_x, pad_y, pad_x; } window_size;
typedef struct { int32_t in_zero, out_zero, low, high; } range_of;

static int8_t limited(int32_t value, int32_t low, int32_t high) {
    return (int8_t)(value < low ? low : value > high ? high : value);
}

/* The high half of 2ab, rounded to the nearest. */
static int32_t high_product(int32_t a, int32_t b) {
    int64_t product = (int64_t)a * b;
    if (a == b && a == INT32_MIN) return INT32_MAX;
    product += product >= 0 ? (1 << 30) : 1 - (1 << 30);
    return (int32_t)(product / ((int64_t)1 << 31));
}

/* value / 2^exponent, rounded to the nearest, halves away from 0. */
static int32_t divided(int32_t value, int exponent) {
    const int32_t mask = (int32_t)(((int64_t)1 << exponent) - 1);
    const int32_t rest = value & mask, half = (mask >> 1) + (value < 0);
    return (value >> exponent) + (rest > half);
}

/* value * multiplier * 2^(shift - 31), rounded. */
static int32_t scaled(int32_t value, int32_t multiplier, int shift) {
    const int left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    return divided(high_product((int32_t)((uint32_t)value << left), multiplier), right);
}
"""
CODE = {
    "conv": """\
static void conv(const int8_t *in, map_size from, int8_t *out, map_size to, window_size window, range_of range,
                 const int8_t *kernel, const int32_t *bias, const int32_t *multipliers, const int8_t *shifts) {
    int y, x, filter, row, column, channel;
    for (y = 0; y < to.height; y++)
        for (x = 0; x < to.width; x++)
            for (filter = 0; filter < to.channels; filter++) {
                const int top = y * window.stride_y - window.pad_y, left = x * window.stride_x - window.pad_x;
                int32_t sum = bias[filter];
                for (row = 0; row < window.height; row++) {
                    if (top + row < 0 || top + row >= from.height) continue;
                    for (column = 0; column < window.width; column++) {
                        const int8_t *value, *weight;
                        if (left + column < 0 || left + column >= from.width) continue;
                        value = in + ((top + row) * from.width + left + column) * from.channels;
                        weight = kernel + ((filter * window.height + row) * window.width + column) * from.channels;
                        for (channel = 0; channel < from.channels; channel++)
                            sum += (value[channel] - range.in_zero) * weight[channel];
                    }
                }
                sum = scaled(sum, multipliers[filter], shifts[filter]) + range.out_zero;
                *out++ = limited(sum, range.low, range.high);
            }
}
""",
    "depthwise": """\
static void depthwise(const int8_t *in, map_size from, int8_t *out, map_size to, window_size window, range_of range,
                      const int8_t *kernel, const int32_t *bias, const int32_t *multipliers, const int8_t *shifts) {
    const int times = to.channels / from.channels;
    int y, x, filter, row, column;
    for (y = 0; y < to.height; y++)
        for (x = 0; x < to.width; x++)
            for (filter = 0; filter < to.channels; filter++) {
                const int top = y * window.stride_y - window.pad_y, left = x * window.stride_x - window.pad_x;
                int32_t sum = bias[filter];
                for (row = 0; row < window.height; row++) {
                    if (top + row < 0 || top + row >= from.height) continue;
                    for (column = 0; column < window.width; column++) {
                        if (left + column < 0 || left + column >= from.width) continue;
                        sum += (in[((top + row) * from.width + left + column) * from.channels + filter / times]
                                - range.in_zero) * kernel[(row * window.width + column) * to.channels + filter];
                    }
                }
                sum = scaled(sum, multipliers[filter], shifts[filter]) + range.out_zero;
                *out++ = limited(sum, range.low, range.high);
            }
}
""",
    "max_pool": """\
static void max_pool(const int8_t *in, map_size from, int8_t *out, map_size to, window_size window, range_of range) {
    int y, x, channel, row, column;
    for (y = 0; y < to.height; y++)
        for (x = 0; x < to.width; x++)
            for (channel = 0; channel < to.channels; channel++) {
                const int top = y * window.stride_y - window.pad_y, left = x * window.stride_x - window.pad_x;
                int8_t most = INT8_MIN;
                for (row = 0; row < window.height; row++)
                    for (column = 0; column < window.width; column++) {
                        int8_t value;
                        if (top + row < 0 || top + row >= from.height) continue;
                        if (left + column < 0 || left + column >= from.width) continue;
                        value = in[((top + row) * from.width + left + column) * from.channels + channel];
                        if (value > most) most = value;
                    }
                *out++ = limited(most, range.low, range.high);
            }
}
""",
    "average_pool": """\
static void average_pool(const int8_t *in, map_size from, int8_t *out, map_size to, window_size window,
                         range_of range) {
    int y, x, channel, row, column;
    for (y = 0; y < to.height; y++)
        for (x = 0; x < to.width; x++)
            for (channel = 0; channel < to.channels; channel++) {
                const int top = y * window.stride_y - window.pad_y, left = x * window.stride_x - window.pad_x;
                int32_t sum = 0, count = 0;
                for (row = 0; row < window.height; row++)
                    for (column = 0; column < window.width; column++) {
                        if (top + row < 0 || top + row >= from.height) continue;
                        if (left + column < 0 || left + column >= from.width) continue;
                        sum += in[((top + row) * from.width + left + column) * from.channels + channel];
                        count++;
                    }
                sum = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
                *out++ = limited(sum, range.low, range.high);
            }
}
""",
    "mean": """\
static void mean(const int8_t *in, map_size from, int8_t *out, range_of range, int32_t multiplier, int shift) {
    const int count = from.height * from.width;
    int place, channel;
    for (channel = 0; channel < from.channels; channel++) {
        int32_t sum = -range.in_zero * count;
        for (place = 0; place < count; place++) sum += in[place * from.channels + channel];
        out[channel] = limited(scaled(sum, multiplier, shift) + range.out_zero, range.low, range.high);
    }
}
""",
    "maximum": """\
static void maximum(const int8_t *in, map_size from, int8_t *out) {
    const int count = from.height * from.width;
    int place, channel;
    for (channel = 0; channel < from.channels; channel++) {
        int8_t most = INT8_MIN;
        for (place = 0; place < count; place++)
            if (in[place * from.channels + channel] > most) most = in[place * from.channels + channel];
        out[channel] = most;
    }
}
""",
    "look_up": """\
static void look_up(const int8_t *in, int8_t *out, int count, const int8_t *table) {
    int place;
    for (place = 0; place < count; place++) out[place] = table[in[place] + 128];
}
""",
    "multiply": """\
static void multiply(const int8_t *in, int8_t *out, int count, const int8_t *with, int channels, int32_t with_zero,
                     range_of range, int32_t multiplier, int shift) {
    int place;
    for (place = 0; place < count; place++) {
        const int32_t product = (in[place] - range.in_zero) * (with[place % channels] - with_zero);
        out[place] = limited(scaled(product, multiplier, shift) + range.out_zero, range.low, range.high);
    }
}
""",
    "add": """\
static void add(const int8_t *in, int8_t *out, int count, const int8_t *with, int channels, int32_t with_zero,
                range_of range, const int32_t *multipliers, const int8_t *shifts) {
    int place;
    for (place = 0; place < count; place++) {
        const int32_t first = (in[place] - range.in_zero) * (1 << 20);
        const int32_t second = (with[place % channels] - with_zero) * (1 << 20);
        const int32_t sum = scaled(first, multipliers[0], shifts[0]) + scaled(second, multipliers[1], shifts[1]);
        out[place] = limited(scaled(sum, multipliers[2], shifts[2]) + range.out_zero, range.low, range.high);
    }
}
""",
    "softmax": """\
static int32_t multiplied(int32_t value, int exponent) {
    const int64_t product = (int64_t)value * ((int64_t)1 << exponent);
    return product > INT32_MAX ? INT32_MAX : product < INT32_MIN ? INT32_MIN : (int32_t)product;
}

/* exp of a number from -32 to 0 with 26 fractional bits; the answer has 31. */
static int32_t exponential(int32_t value) {
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24, part = (value & (quarter - 1)) - quarter, whole = part - value;
    const int32_t x = multiplied(part, 5) + (1 << 28);
    const int32_t square = high_product(x, x), cube = high_product(square, x);
    const int32_t fourth = divided(high_product(square, square), 2);
    const int32_t tail = divided(high_product(fourth + cube, 715827883) + square, 1);
    int32_t result = 1895147668 + high_product(1895147668, x + tail);
    int bit;
    for (bit = 0; bit < 7; bit++)
        if (whole & (1 << (24 + bit))) result = high_product(result, factors[bit]);
    return value == 0 ? INT32_MAX : result;
}

/* 1 / (1 + value) for a value from 0 to 1, both with 31 fractional bits. */
static int32_t reciprocal(int32_t value) {
    const int32_t half = (int32_t)(((int64_t)value + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + high_product(half, -1010580540);
    int turn;
    for (turn = 0; turn < 3; turn++)
        x += multiplied(high_product(x, (1 << 29) - high_product(half, x)), 2);
    return multiplied(x, 1);
}

static void softmax(const int8_t *in, int8_t *out, int rows, int count, int32_t multiplier, int shift,
                    int32_t least) {
    int place;
    for (; rows > 0; rows--, in += count, out += count) {
        int32_t sum = 0, scale;
        int8_t most = INT8_MIN;
        int zeros = 0;
        for (place = 0; place < count; place++)
            if (in[place] > most) most = in[place];
        for (place = 0; place < count; place++)
            if (in[place] - most >= least)
                sum += divided(exponential(scaled(in[place] - most, multiplier, shift)), 12);
        while (!(((uint32_t)sum << zeros) & 0x80000000u)) zeros++;
        scale = reciprocal((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
        for (place = 0; place < count; place++) {
            int32_t share = 0;
            if (in[place] - most >= least) {
                share = high_product(scale, exponential(scaled(in[place] - most, multiplier, shift)));
                share = divided(share, 12 - zeros + 31 - 8);
            }
            out[place] = limited(share + INT8_MIN, INT8_MIN, INT8_MAX);
        }
    }
}
""",
}
"""The functions by name; each needs `ARITHMETIC`."""
