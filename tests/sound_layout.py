"""The released layout of Stable Audio's autoencoder."""


def layout(width, channels, latents, factors, multiples):
    """Names and shapes as the class AutoencoderOobleck of diffusers 0.42 has them."""
    found = {}

    def conv(name, first, second, taps, n_out, bias=True):
        found[f"{name}.weight_g"], found[f"{name}.weight_v"] = (first, 1, 1), (first, second, taps)
        if bias:
            found[f"{name}.bias"] = (n_out,)

    def snake(name, n):
        found[f"{name}.alpha"] = found[f"{name}.beta"] = (1, n, 1)

    def units(name, n):
        for unit in (1, 2, 3):
            prefix = f"{name}.res_unit{unit}"
            snake(f"{prefix}.snake1", n)
            conv(f"{prefix}.conv1", n, n, 7, n)
            snake(f"{prefix}.snake2", n)
            conv(f"{prefix}.conv2", n, n, 1, n)

    widths = [width * m for m in (1, *multiples)]
    conv("encoder.conv1", width, channels, 7, width)
    for i, factor in enumerate(factors):
        n, m, name = widths[i], widths[i + 1], f"encoder.block.{i}"
        units(name, n)
        snake(f"{name}.snake1", n)
        conv(f"{name}.conv1", m, n, 2 * factor, m)
    snake("encoder.snake1", widths[-1])
    conv("encoder.conv2", 2 * latents, widths[-1], 3, 2 * latents)
    conv("decoder.conv1", widths[-1], latents, 7, widths[-1])
    for i, factor in enumerate(factors[::-1]):
        m, n, name = widths[-1 - i], widths[-2 - i], f"decoder.block.{i}"
        snake(f"{name}.snake1", m)
        conv(f"{name}.conv_t1", m, n, 2 * factor, n)
        units(name, n)
    snake("decoder.snake1", width)
    conv("decoder.conv2", channels, width, 7, channels, bias=False)
    return found
