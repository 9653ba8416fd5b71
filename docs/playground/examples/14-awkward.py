# Awkward points: kinks, poles, infinities
import microgrannd as mg
from microgrannd import Value

x = Value(0.0, label="x")
y = mg.where(x > 0, mg.sqrt(x), 0.0)  # sqrt has an infinite slope at 0, but it is not taken
y.backward()
print("where:", y.data, x.grad)

for name, inputs in [("abs", [0.0]), ("relu", [0.0]), ("maximum", [2.0, 2.0]), ("hypot", [0.0, 0.0])]:
    values = [Value(number) for number in inputs]
    mg.TABLE[name](*values).backward()
    print(f"{name}:", [value.grad for value in values])

with mg.detect_anomaly():  # stops at the first NaN or infinity, and says where it is from
    mg.log(Value(0.0, label="nothing")) * 0
