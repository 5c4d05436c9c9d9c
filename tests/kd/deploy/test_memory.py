from deployed import draws, quantised, random_samples, random_student

from kd.deploy.arena import plan
from kd.deploy.c_code import int8_code
from kd.deploy.lower import lower


def test_the_arena_is_what_costs_say_for_random_draws() -> None:
    for architecture in draws(range(6)):
        arena = plan(lower(random_student(architecture)), quantised=True).size
        assert arena == architecture.cost().memory_bytes, architecture.to_json()


def test_constants_are_what_costs_say() -> None:
    for architecture in draws(range(2, 3)):
        samples = random_samples(architecture.shape, 2)
        program = quantised(architecture, samples)
        code = int8_code(program, samples[:1], "a student")
        assert code.constant_bytes == program.bytes == architecture.cost().int8_bytes, architecture.to_json()
        assert f"#define ARENA {architecture.cost().memory_bytes}\n" in code.source
